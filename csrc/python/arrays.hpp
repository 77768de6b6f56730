// NumPy arrays over tensors, and tensors out of Python objects. The one choke point between the two.
#pragma once

#include <pybind11/numpy.h>

#include "core/status.hpp"
#include "core/views.hpp"

namespace mnnlite::python {

namespace py = pybind11;

// An array over the tensor's own memory that keeps `base` alive. Nothing of ours is allocated.
py::object view_of(const TensorView& tensor, py::handle base, bool writable);

// An array of its own.
py::object copy_of(const TensorView& tensor);

// The memory of an object with the buffer protocol, held until the end of the scope. Needs the GIL at both ends.
class HeldBuffer {
 public:
  HeldBuffer() = default;
  ~HeldBuffer() {
    if (view_.obj) PyBuffer_Release(&view_);
  }
  HeldBuffer(const HeldBuffer&) = delete;
  HeldBuffer& operator=(const HeldBuffer&) = delete;

  // `object` must have the dtype and shape of `desc` and be C-contiguous (and writable if asked): nothing is converted.
  // `role` is how an error calls it, e.g. "input".
  Status hold(py::handle object, const TensorView& desc, const char* role, bool writable);
  void* data() const { return view_.buf; }

 private:
  Py_buffer view_{};
};

}  // namespace mnnlite::python
