// The best licence plate of each picture, for heads [N, plates, 15]: x, y, width, height, score, 4 corners, 2 classes.
// The same as ../cython_decoder in C++17. Exceptions must not cross the border.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

#include "mnnlite/decoder.h"

namespace {

struct PlateHead {
  float least_score = 0.3f;

  static int create(const mnnlite_option* options, int32_t n_options, void** self, char* error) {
    PlateHead made;
    for (const mnnlite_option* option = options; option != options + n_options; ++option) {
      if (std::strcmp(option->key, "score") != 0 || option->kind != MNNLITE_NUMBER)
        return std::snprintf(error, MNNLITE_TEXT, "has no option %s", option->key);
      made.least_score = static_cast<float>(option->number);
    }
    *self = new (std::nothrow) PlateHead(made);
    return *self ? 0 : std::snprintf(error, MNNLITE_TEXT, "no memory");
  }

  static int plan(void*, const mnnlite_tensor* desc, int32_t n_tensors, int32_t max_items, mnnlite_needs* needs) {
    if (n_tensors != 1 || desc->rank != 3 || desc->dims[2] != 15 || desc->dtype != MNNLITE_F32 ||
        desc->dims[0] < max_items)
      return std::snprintf(needs->error, MNNLITE_TEXT, "wants one float32 output [N, plates, 15], got %s", desc->name);
    needs->kind = MNNLITE_DETECTIONS;
    needs->rows = max_items;
    needs->values = 8 * max_items;
    return 0;
  }

  static int decode(void* self, const mnnlite_tensor* tensors, int32_t, const mnnlite_item* items, int32_t n_items,
                    mnnlite_sink* sink, void*) {
    using Plate = float[15];
    const int32_t plates = tensors[0].dims[1];
    for (int32_t slot = 0; slot < n_items; ++slot) {
      const Plate* head = static_cast<const Plate*>(tensors[0].data) + static_cast<ptrdiff_t>(slot) * plates;
      const Plate& best =
          *std::max_element(head, head + plates, [](const Plate& a, const Plate& b) { return a[4] < b[4]; });
      if (!(best[4] > static_cast<PlateHead*>(self)->least_score)) continue;
      mnnlite_row& row = sink->rows[sink->row_count++] = mnnlite_row{};
      row.item = items[slot].item;
      row.score = best[4];
      row.class_id = best[13] >= best[14] ? 0 : 1;
      row.parent = -1;
      row.first_value = sink->value_count;
      row.value_count = 8;
      place(items[slot], best[0] - best[2] / 2, best[1] - best[3] / 2, row.box);
      place(items[slot], best[0] + best[2] / 2, best[1] + best[3] / 2, row.box + 2);
      for (int k = 0; k < 4; ++k)
        place(items[slot], best[5 + 2 * k], best[6 + 2 * k], sink->values + sink->value_count + 2 * k);
      sink->value_count += 8;
      ++sink->found;
    }
    return 0;
  }

  static void place(const mnnlite_item& item, float x, float y, float* out) {
    const double* m = item.to_frame;
    const double w = m[6] * x + m[7] * y + m[8];
    out[0] = static_cast<float>((m[0] * x + m[1] * y + m[2]) / w);
    out[1] = static_cast<float>((m[3] * x + m[4] * y + m[5]) / w);
  }

  static void destroy(void* self) { delete static_cast<PlateHead*>(self); }
};

mnnlite_decoder_v2 table = {MNNLITE_DECODER_ABI, sizeof(mnnlite_decoder_v2), "plate_head",      PlateHead::create,
                            PlateHead::plan,     PlateHead::decode,          PlateHead::destroy};
PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "plate_head_cpp", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_plate_head_cpp() {
  PyObject* made = PyModule_Create(&module);
  PyObject* capsule = PyCapsule_New(&table, MNNLITE_DECODER_CAPSULE, nullptr);
  if (!made || !capsule || PyModule_AddObject(made, "__mnnlite_decoder__", capsule) < 0) {
    Py_XDECREF(capsule);
    Py_XDECREF(made);
    return nullptr;
  }
  return made;
}
