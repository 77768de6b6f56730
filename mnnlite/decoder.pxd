# mnnlite's native decoder interface for Cython: mnnlite/decoder.h, name by name.
# Compile with -I from mnnlite.get_include(). The header says what everything means.
from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef extern from "mnnlite/decoder.h" nogil:
    enum:
        MNNLITE_DECODER_ABI
        MNNLITE_MAX_RANK
        MNNLITE_TEXT
    const char* MNNLITE_DECODER_CAPSULE

    enum mnnlite_dtype:
        MNNLITE_F32
        MNNLITE_F16
        MNNLITE_I32
        MNNLITE_U8
        MNNLITE_I8

    enum mnnlite_layout:
        MNNLITE_PLAIN
        MNNLITE_NCHW
        MNNLITE_NHWC
        MNNLITE_NC4HW4
        MNNLITE_NC8HW8

    ctypedef struct mnnlite_tensor:
        void* data
        const char* name
        int32_t dtype
        int32_t layout
        int32_t rank
        int32_t dims[6]
        float scale
        int32_t zero_point

    ctypedef struct mnnlite_item:
        double to_frame[9]
        int32_t net_width
        int32_t net_height
        int32_t frame_width
        int32_t frame_height
        int32_t item
        int32_t reserved
        int32_t picture[4]

    enum mnnlite_kind:
        MNNLITE_RAW
        MNNLITE_CLASSES
        MNNLITE_DETECTIONS
        MNNLITE_MASKS
        MNNLITE_POLYGONS
        MNNLITE_POLYLINES
        MNNLITE_KEYPOINTS
        MNNLITE_TEXTS
        MNNLITE_EMBEDDINGS
        MNNLITE_INSTANCES
        MNNLITE_MAPS
        MNNLITE_MEASUREMENTS

    ctypedef struct mnnlite_row:
        int32_t item
        int32_t class_id
        float score
        float box[4]
        int32_t first_value
        int32_t value_count
        int32_t first_char
        int32_t char_count
        int32_t first_pixel
        int32_t width
        int32_t height
        int32_t parent
        float area
        int32_t left
        int32_t top
        int32_t channels
        int32_t reserved

    ctypedef struct mnnlite_sink:
        mnnlite_row* rows
        float* values
        char* chars
        uint8_t* pixels
        int32_t row_capacity
        int32_t row_count
        int32_t value_capacity
        int32_t value_count
        int32_t char_capacity
        int32_t char_count
        int32_t pixel_capacity
        int32_t pixel_count
        int32_t found
        int32_t truncated
        char error[240]

    ctypedef struct mnnlite_needs:
        int32_t frame_width
        int32_t frame_height
        int32_t depends_on_frame
        int32_t kind
        int32_t rows
        int32_t values
        int32_t chars
        int32_t pixels
        size_t scratch
        char error[240]

    enum mnnlite_option_kind:
        MNNLITE_NUMBER
        MNNLITE_STRING
        MNNLITE_NUMBERS

    ctypedef struct mnnlite_option:
        const char* key
        int32_t kind
        int32_t count
        double number
        const char* text
        const double* numbers

    ctypedef int (*mnnlite_create)(const mnnlite_option* options, int32_t n_options, void** self, char* error) noexcept nogil
    ctypedef int (*mnnlite_plan)(void* self, const mnnlite_tensor* desc, int32_t n_tensors, int32_t max_items,
                                 mnnlite_needs* needs) noexcept nogil
    ctypedef int (*mnnlite_decode)(void* self, const mnnlite_tensor* tensors, int32_t n_tensors,
                                   const mnnlite_item* items, int32_t n_items, mnnlite_sink* sink,
                                   void* scratch) noexcept nogil
    ctypedef void (*mnnlite_destroy)(void* self) noexcept nogil

    ctypedef struct mnnlite_decoder_v2:
        uint32_t abi_version
        uint32_t struct_size
        const char* name
        mnnlite_create create
        mnnlite_plan plan
        mnnlite_decode decode
        mnnlite_destroy destroy
