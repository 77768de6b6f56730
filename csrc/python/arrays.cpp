#include "arrays.hpp"

#include <cstdio>
#include <cstring>

namespace mnnlite::python {
namespace {

int numpy_type(DType dtype) {
  switch (dtype) {  // NumPy's stable type numbers
    case DType::f32: return 11;
    case DType::f16: return 23;
    case DType::i32: return 5;
    case DType::u8: return 2;
    case DType::i8: return 1;
  }
  return 11;
}

// The struct-module letter of a dtype, as buffers carry it; int32 may be "i" or "l".
bool format_matches(const char* format, Py_ssize_t itemsize, DType dtype) {
  if (!format || static_cast<size_t>(itemsize) != size_of(dtype)) return false;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  switch (dtype) {
    case DType::f32: return std::strcmp(format, "f") == 0;
    case DType::f16: return std::strcmp(format, "e") == 0;
    case DType::i32: return std::strcmp(format, "i") == 0 || std::strcmp(format, "l") == 0;
    case DType::u8: return std::strcmp(format, "B") == 0;
    case DType::i8: return std::strcmp(format, "b") == 0;
  }
  return false;
}

template <typename T>
void tuple_text(const T* values, int count, char* text, size_t size) {
  size_t length = static_cast<size_t>(std::snprintf(text, size, "("));
  for (int i = 0; i < count && length < size; ++i)
    length += static_cast<size_t>(
        std::snprintf(text + length, size - length, i ? ", %lld" : "%lld", static_cast<long long>(values[i])));
  if (length < size) std::snprintf(text + length, size - length, count == 1 ? ",)" : ")");
}

py::object new_array(const TensorView& tensor, void* data, py::handle base, bool writable) {
  const auto& api = py::detail::npy_api::get();
  Py_intptr_t shape[MNNLITE_MAX_RANK], strides[MNNLITE_MAX_RANK];
  Py_intptr_t stride = static_cast<Py_intptr_t>(size_of(dtype_of(tensor)));
  for (int axis = tensor.rank; axis-- > 0;) {
    shape[axis] = tensor.dims[axis];
    strides[axis] = stride;
    stride *= shape[axis];
  }
  PyObject* descr = api.PyArray_DescrFromType_(numpy_type(dtype_of(tensor)));
  if (!descr) throw py::error_already_set();
  const int flags = writable ? py::detail::npy_api::NPY_ARRAY_WRITEABLE_ : 0;
  auto array = py::reinterpret_steal<py::object>(
      api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, tensor.rank, shape, strides, data, flags, nullptr));
  if (!array) throw py::error_already_set();
  if (base && api.PyArray_SetBaseObject_(array.ptr(), base.inc_ref().ptr()) != 0) throw py::error_already_set();
  return array;
}

}  // namespace

py::object view_of(const TensorView& tensor, py::handle base, bool writable) {
  return new_array(tensor, tensor.data, base, writable);
}

py::object copy_of(const TensorView& tensor) {
  py::object array = new_array(tensor, nullptr, py::handle(), true);
  std::memcpy(py::detail::array_proxy(array.ptr())->data, tensor.data, stored_bytes(tensor));
  return array;
}

Status HeldBuffer::hold(py::handle object, const TensorView& desc, const char* role, bool writable) {
  if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_FORMAT | PyBUF_STRIDES) != 0) {
    PyErr_Clear();
    view_.obj = nullptr;
    return Status::error(Code::argument, "%s \"%.60s\" is a %.40s; pass a NumPy array of %s", role, desc.name,
                         Py_TYPE(object.ptr())->tp_name, name_of(dtype_of(desc)));
  }
  if (!format_matches(view_.format, view_.itemsize, dtype_of(desc)))
    return Status::error(
        Code::dtype,
        "%s \"%.60s\" has the element type \"%.20s\" of %zd bytes, the tensor is %s; convert with .astype(\"%s\")",
        role, desc.name, view_.format ? view_.format : "B", view_.itemsize, name_of(dtype_of(desc)),
        name_of(dtype_of(desc)));
  bool same = view_.ndim == desc.rank;
  for (int axis = 0; same && axis < desc.rank; ++axis) same = view_.shape[axis] == desc.dims[axis];
  if (!same) {
    char got[80], wanted[80];
    tuple_text(view_.shape, view_.ndim, got, sizeof got);
    tuple_text(desc.dims, desc.rank, wanted, sizeof wanted);
    const bool swapped =
        view_.ndim == 4 && desc.rank == 4 && view_.shape[0] == desc.dims[0] &&
        ((layout_of(desc) == Layout::nchw && view_.shape[3] == desc.dims[1] && view_.shape[1] == desc.dims[2]) ||
         (layout_of(desc) == Layout::nhwc && view_.shape[1] == desc.dims[3] && view_.shape[2] == desc.dims[1]));
    return Status::error(Code::layout, "%s \"%.60s\" has shape %s, the tensor is %s %s%s", role, desc.name, got,
                         layout_of(desc) == Layout::plain ? "of shape" : name_of(layout_of(desc)), wanted,
                         swapped ? "; the axes seem to be in the other order, transpose them" : "");
  }
  Py_ssize_t stride = view_.itemsize;
  for (int axis = view_.ndim; axis-- > 0;) {
    if (view_.shape[axis] != 1 && view_.strides && view_.strides[axis] != stride)
      return Status::error(Code::layout,
                           "%s \"%.60s\" is not C-contiguous (axis %d has a stride of %zd bytes, %zd expected); pass "
                           "numpy.ascontiguousarray of it",
                           role, desc.name, axis, view_.strides[axis], stride);
    stride *= view_.shape[axis];
  }
  if (writable && view_.readonly)
    return Status::error(Code::argument, "%s \"%.60s\" is read-only; pass an array that may be written", role,
                         desc.name);
  return {};
}

}  // namespace mnnlite::python
