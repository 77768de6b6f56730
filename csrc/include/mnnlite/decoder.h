/* mnnlite's native decoder interface: tensors in, rows out, no Python and no C++ types.
 *
 * Plain C99 on purpose: a decoder may be written in C, C++ or Cython and is built without mnnlite's
 * sources. mnnlite's own families implement the same functions over the same structs, so what a
 * built-in decoder can do, a plug-in can do.
 *
 * Who owns what: every pointer that crosses this border belongs to the caller. A decoder neither
 * frees nor keeps one after the call returns; its own state is `self`, freed by `destroy`.
 * Threads: calls on one `self` never overlap; they run without Python's GIL.
 */
#ifndef MNNLITE_DECODER_H
#define MNNLITE_DECODER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tensors, items, rows and options travel as arrays and sinks and needs are filled by both sides, so another struct is
 * another number, and another number another capsule: a decoder that was built against an older header is refused, with
 * the words "rebuild it", and never read. Only the table of functions may grow within a number, at its end, which
 * struct_size tells. Version 2: rows have left, top and channels, items have picture;
 * instances, maps and numbers are kinds. */
#define MNNLITE_DECODER_ABI 2
#define MNNLITE_DECODER_CAPSULE "mnnlite_decoder_v2"
#define MNNLITE_MAX_RANK 6
#define MNNLITE_TEXT 240

enum mnnlite_dtype { MNNLITE_F32 = 1, MNNLITE_F16 = 2, MNNLITE_I32 = 3, MNNLITE_U8 = 4, MNNLITE_I8 = 5 };

/* What the axes of a tensor mean. MNNLITE_PLAIN: row-major dims with no image meaning (any rank).
 * dims are in the order of the layout's name: N, H, W, C for MNNLITE_NHWC. For the packed layouts they
 * are the logical N, C, H, W; channels lie in groups of 4 or 8, the last group padded:
 * element (n, c, y, x) is at (((n * groups + c / 4) * H + y) * W + x) * 4 + c % 4. */
enum mnnlite_layout { MNNLITE_PLAIN = 0, MNNLITE_NCHW = 1, MNNLITE_NHWC = 2, MNNLITE_NC4HW4 = 3, MNNLITE_NC8HW8 = 4 };

typedef struct mnnlite_tensor {
  void* data;       /* a decoder only reads it */
  const char* name; /* for error texts; never NULL */
  int32_t dtype;    /* enum mnnlite_dtype */
  int32_t layout;   /* enum mnnlite_layout */
  int32_t rank;     /* 0 to MNNLITE_MAX_RANK */
  int32_t dims[MNNLITE_MAX_RANK];
  float scale; /* integers: real value = (q - zero_point) * scale; 0 = not quantised */
  int32_t zero_point;
} mnnlite_tensor;

/* One slot of the batch: which part of which picture the network saw there. Slot i is index i of the
 * first axis of the tensors; a call may fill fewer slots than the tensors have. */
typedef struct mnnlite_item {
  double to_frame[9]; /* 3x3, row-major: network pixel -> frame pixel, pixel i covers [i, i+1) */
  int32_t net_width;  /* network input size in pixels; 0 = unknown */
  int32_t net_height;
  int32_t frame_width; /* whole frame in pixels; results are clipped to it */
  int32_t frame_height;
  int32_t item; /* written to every row that comes from this slot */
  int32_t reserved;
  int32_t picture[4]; /* where in the input the picture lies, beside a letterbox's bars: left, top, right, bottom in
                           * network pixels; all 0 = everywhere */
} mnnlite_item;

/* What the rows of a sink are. */
enum mnnlite_kind {
  MNNLITE_RAW = 0,
  MNNLITE_CLASSES = 1,
  MNNLITE_DETECTIONS = 2,
  MNNLITE_MASKS = 3,
  MNNLITE_POLYGONS = 4,
  MNNLITE_POLYLINES = 5,
  MNNLITE_KEYPOINTS = 6,
  MNNLITE_TEXTS = 7,
  MNNLITE_EMBEDDINGS = 8,
  MNNLITE_INSTANCES = 9,
  MNNLITE_MAPS = 10,
  MNNLITE_MEASUREMENTS = 11
};

/* One result. Every kind uses item, class_id and score; what else is filled depends on the kind:
 *   detections  box; values: x, y pairs, if the head has them (corners of a plate or of an oriented box, key points)
 *   masks       box, area; pixels: a class map of width x height that the rows of one slot share (the row's mask is
 *               where it equals class_id; 255 = not seen by the network); values: 9 numbers, 3x3 row-major, pixel of
 *               the map -> frame pixel
 *   polygons    box, area; values: x, y pairs     polylines   box; values: x, y pairs
 *   keypoints   box; values: x, y, confidence     classes     nothing else
 *   texts       box, chars; values: 4 corners as x, y pairs (top-left, top-right, bottom-right, bottom-left), then
 *               one confidence per character
 *   embeddings  values: the vector
 *   instances   box, area (pixels that are set); pixels: a bit for each pixel of the frame in the rectangle that begins at
 *               left, top and is width x height large. Its rows lie (width + 7) / 8 bytes apart, the leftmost pixel is a
 *               byte's highest bit, bits beyond the width are 0
 *   maps        box: what of the frame it covers; values: 9 numbers, 3x3 row-major, pixel of the map -> frame pixel, then
 *               channels planes of width x height numbers, row by row; or those 9 numbers alone and the map in pixels:
 *               height x width x channels bytes, channels side by side, a picture
 *   measurements  values: what the network says in its own unit (an age, three angles)
 * Ranges index the sink's pools. Coordinates are pixels of the whole frame. Every number is finite. */
typedef struct mnnlite_row {
  int32_t item;
  int32_t class_id; /* -1 = none */
  float score;
  float box[4]; /* x1, y1, x2, y2 */
  int32_t first_value, value_count;
  int32_t first_char, char_count;
  int32_t first_pixel, width, height;
  int32_t parent;    /* polygons: row of the outer ring of a hole, else -1 */
  float area;        /* masks, polygons, instances: frame pixels squared */
  int32_t left, top; /* instances: pixel of the frame where the mask begins */
  int32_t channels;  /* maps */
  int32_t reserved;
} mnnlite_row;

/* Where results go: pools of the caller's memory. A decoder writes at most `capacity` of each and
 * counts. More results than fit is data, not an error: it keeps the best, sets `found` to how many
 * there were and `truncated` to 1. */
typedef struct mnnlite_sink {
  mnnlite_row* rows;
  float* values;
  char* chars; /* UTF-8, not terminated */
  uint8_t* pixels;
  int32_t row_capacity, row_count;
  int32_t value_capacity, value_count;
  int32_t char_capacity, char_count;
  int32_t pixel_capacity, pixel_count;
  int32_t found;
  int32_t truncated;
  char error[MNNLITE_TEXT]; /* one line, filled when decode returns other than 0 */
} mnnlite_sink;

/* What a decoder needs for the tensors that `plan` was shown. */
typedef struct mnnlite_needs {
  int32_t frame_width; /* set by the caller: the largest frame that will come; 0 = not known yet */
  int32_t frame_height;
  int32_t depends_on_frame;            /* 1: plan again before a frame larger than that */
  int32_t kind;                        /* enum mnnlite_kind */
  int32_t rows, values, chars, pixels; /* capacities of the sink's pools */
  size_t scratch;                      /* bytes, handed to decode 64-byte aligned */
  char error[MNNLITE_TEXT];            /* one line, filled when plan returns other than 0 */
} mnnlite_needs;

/* One option of a decoder as key and value, from keyword arguments or a pipeline file. */
enum mnnlite_option_kind { MNNLITE_NUMBER = 1, MNNLITE_STRING = 2, MNNLITE_NUMBERS = 3 };
typedef struct mnnlite_option {
  const char* key;
  int32_t kind;  /* enum mnnlite_option_kind; booleans are numbers 0 and 1 */
  int32_t count; /* numbers: how many */
  double number;
  const char* text;
  const double* numbers;
} mnnlite_option;

/* The functions of a decoder. All return 0 for success; anything else is an error with a text. */

/* Make one instance. `error` has room for MNNLITE_TEXT characters. Options live until it returns. */
typedef int (*mnnlite_create)(const mnnlite_option* options, int32_t n_options, void** self, char* error);
/* Check the tensors' shapes and dtypes (data may be NULL) and say what decode will need for at most
 * max_items slots. Called once per shape, may allocate. */
typedef int (*mnnlite_plan)(void* self, const mnnlite_tensor* desc, int32_t n_tensors, int32_t max_items,
                            mnnlite_needs* needs);
/* The work. Must not allocate. The sink comes with its counts at 0. It is also called once by the
 * planner, on zeros, to see that it works. */
typedef int (*mnnlite_decode)(void* self, const mnnlite_tensor* tensors, int32_t n_tensors, const mnnlite_item* items,
                              int32_t n_items, mnnlite_sink* sink, void* scratch);
typedef void (*mnnlite_destroy)(void* self);

/* What a plug-in hands over: the pointer of a PyCapsule named MNNLITE_DECODER_CAPSULE, which is the
 * attribute __mnnlite_decoder__ of some Python object. The struct must live as long as the capsule. */
typedef struct mnnlite_decoder_v2 {
  uint32_t abi_version; /* MNNLITE_DECODER_ABI */
  uint32_t struct_size; /* sizeof(mnnlite_decoder_v2) as the decoder was compiled */
  const char* name;     /* for error texts */
  mnnlite_create create;
  mnnlite_plan plan;
  mnnlite_decode decode;
  mnnlite_destroy destroy;
} mnnlite_decoder_v2;

#ifdef __cplusplus
}
#endif
#endif
