/* The best licence plate of each picture, for heads [N, plates, 15]: x, y, width, height, score, 4 corners, 2 classes.
 * The same as ../cython_decoder in C99. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mnnlite/decoder.h"

typedef struct plate_head {
  float least_score;
} plate_head;

static int create(const mnnlite_option* options, int32_t n_options, void** self, char* error) {
  plate_head* made = malloc(sizeof *made);
  if (!made) return snprintf(error, MNNLITE_TEXT, "no memory");
  made->least_score = 0.3f;
  for (int32_t i = 0; i < n_options; ++i) {
    if (strcmp(options[i].key, "score") != 0 || options[i].kind != MNNLITE_NUMBER) {
      free(made);
      return snprintf(error, MNNLITE_TEXT, "has no option %s", options[i].key);
    }
    made->least_score = (float)options[i].number;
  }
  *self = made;
  return 0;
}

static int plan(void* self, const mnnlite_tensor* desc, int32_t n_tensors, int32_t max_items, mnnlite_needs* needs) {
  (void)self;
  if (n_tensors != 1 || desc->rank != 3 || desc->dims[2] != 15 || desc->dtype != MNNLITE_F32 ||
      desc->dims[0] < max_items)
    return snprintf(needs->error, MNNLITE_TEXT, "wants one float32 output [N, plates, 15], got %s", desc->name);
  needs->kind = MNNLITE_DETECTIONS;
  needs->rows = max_items;
  needs->values = 8 * max_items;
  return 0;
}

static void place(const double* m, float x, float y, float* out) {
  const double w = m[6] * x + m[7] * y + m[8];
  out[0] = (float)((m[0] * x + m[1] * y + m[2]) / w);
  out[1] = (float)((m[3] * x + m[4] * y + m[5]) / w);
}

static int decode(void* self, const mnnlite_tensor* tensors, int32_t n_tensors, const mnnlite_item* items,
                  int32_t n_items, mnnlite_sink* sink, void* scratch) {
  const int32_t plates = tensors[0].dims[1];
  (void)n_tensors, (void)scratch;
  for (int32_t slot = 0; slot < n_items; ++slot) {
    const float* head = (const float*)tensors[0].data + (size_t)slot * (size_t)plates * 15;
    const float* best = head;
    for (int32_t i = 0; i < plates; ++i)
      if (head[15 * i + 4] > best[4]) best = head + 15 * i;
    if (!(best[4] > ((const plate_head*)self)->least_score)) continue;
    mnnlite_row* row = sink->rows + sink->row_count++;
    memset(row, 0, sizeof *row);
    row->item = items[slot].item;
    row->score = best[4];
    row->class_id = best[13] >= best[14] ? 0 : 1;
    row->parent = -1;
    row->first_value = sink->value_count;
    row->value_count = 8;
    place(items[slot].to_frame, best[0] - best[2] / 2, best[1] - best[3] / 2, row->box);
    place(items[slot].to_frame, best[0] + best[2] / 2, best[1] + best[3] / 2, row->box + 2);
    for (int k = 0; k < 4; ++k)
      place(items[slot].to_frame, best[5 + 2 * k], best[6 + 2 * k], sink->values + sink->value_count + 2 * k);
    sink->value_count += 8;
    ++sink->found;
  }
  return 0;
}

static const mnnlite_decoder_v2 table = {
    MNNLITE_DECODER_ABI, sizeof(mnnlite_decoder_v2), "plate_head", create, plan, decode, free};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "plate_head_c", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_plate_head_c(void) {
  PyObject* made = PyModule_Create(&module);
  PyObject* capsule = PyCapsule_New((void*)&table, MNNLITE_DECODER_CAPSULE, NULL);
  if (!made || !capsule || PyModule_AddObject(made, "__mnnlite_decoder__", capsule) < 0) {
    Py_XDECREF(capsule);
    Py_XDECREF(made);
    return NULL;
  }
  return made;
}
