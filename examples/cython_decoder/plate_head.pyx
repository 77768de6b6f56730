# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The best licence plate of each picture, for heads [N, plates, 15]: x, y, width, height, score, 4 corners, 2 classes."""
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport strcmp
from mnnlite.decoder cimport *

cdef int create(const mnnlite_option* options, int32_t n, void** self, char* error) noexcept nogil:
    cdef float* least = <float*>malloc(sizeof(float))
    self[0], least[0] = least, 0.3
    for i in range(n):
        if strcmp(options[i].key, b"score") != 0 or options[i].kind != MNNLITE_NUMBER:
            free(least)
            return snprintf(error, MNNLITE_TEXT, b"has no option %s", options[i].key)
        least[0] = <float>options[i].number
    return 0

cdef int plan(void* self, const mnnlite_tensor* desc, int32_t n, int32_t max_items, mnnlite_needs* needs) noexcept nogil:
    if n != 1 or desc[0].rank != 3 or desc[0].dims[2] != 15 or desc[0].dtype != MNNLITE_F32 or desc[0].dims[0] < max_items:
        return snprintf(needs.error, MNNLITE_TEXT, b"wants one float32 output [N, plates, 15], got %s", desc[0].name)
    needs.kind, needs.rows, needs.values = MNNLITE_DETECTIONS, max_items, 8 * max_items
    return 0

cdef void place(const double* m, float x, float y, float* out) noexcept nogil:
    cdef double w = m[6] * x + m[7] * y + m[8]
    out[0] = <float>((m[0] * x + m[1] * y + m[2]) / w)
    out[1] = <float>((m[3] * x + m[4] * y + m[5]) / w)

cdef int decode(void* self, const mnnlite_tensor* tensors, int32_t n, const mnnlite_item* items, int32_t n_items,
                mnnlite_sink* sink, void* scratch) noexcept nogil:
    cdef int32_t slot, i, k, plates = tensors[0].dims[1]
    cdef const float *head, *best
    cdef mnnlite_row* row
    for slot in range(n_items):
        head = best = <const float*>tensors[0].data + slot * plates * 15
        for i in range(plates):
            if head[15 * i + 4] > best[4]:
                best = head + 15 * i
        if not best[4] > (<float*>self)[0]:
            continue
        row = &sink.rows[sink.row_count]
        row.item, row.score, row.class_id = items[slot].item, best[4], 0 if best[13] >= best[14] else 1
        row.first_value, row.value_count = sink.value_count, 8
        row.first_char = row.char_count = row.first_pixel = row.width = row.height = 0
        row.area, row.parent = 0, -1
        place(items[slot].to_frame, best[0] - best[2] / 2, best[1] - best[3] / 2, &row.box[0])
        place(items[slot].to_frame, best[0] + best[2] / 2, best[1] + best[3] / 2, &row.box[2])
        for k in range(4):
            place(items[slot].to_frame, best[5 + 2 * k], best[6 + 2 * k], &sink.values[sink.value_count + 2 * k])
        sink.row_count, sink.value_count, sink.found = sink.row_count + 1, sink.value_count + 8, sink.found + 1
    return 0

cdef void destroy(void* self) noexcept nogil:
    free(self)

cdef mnnlite_decoder_v2 table = [MNNLITE_DECODER_ABI, sizeof(mnnlite_decoder_v2), b"plate_head", create, plan, decode, destroy]
__mnnlite_decoder__ = PyCapsule_New(&table, MNNLITE_DECODER_CAPSULE, NULL)
