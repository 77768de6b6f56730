#include "python/results.hpp"

#include <cstring>

namespace mnnlite::python {
namespace {

template <class T>
py::array make_array(const T* data, int32_t count, const py::object& base) {
  if (!base) {
    py::array_t<T> copy(count);
    if (count > 0) std::memcpy(copy.mutable_data(), data, static_cast<size_t>(count) * sizeof(T));
    return std::move(copy);
  }
  if (count == 0) return py::array_t<T>(0);
  py::array_t<T> view(count, data, base);
  py::detail::array_proxy(view.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return std::move(view);
}

}  // namespace

py::tuple results_to_python(const std::shared_ptr<SinkBuffer>& buffer, bool borrow) {
  py::object base;
  if (borrow) {
    using Owner = std::shared_ptr<SinkBuffer>;
    base = py::capsule(new Owner(buffer), [](void* owner) { delete static_cast<Owner*>(owner); });
  }
  const mnnlite_sink& sink = buffer->sink();
  // Most results have no more than one or two of these, and an empty array costs as much as a full one.
  const auto unless_empty = [&base](const auto* data, int32_t count) -> py::object {
    return count == 0 ? py::object(py::none()) : py::object(make_array(data, count, base));
  };
  return py::make_tuple(
      buffer->kind(),
      make_array(reinterpret_cast<const uint8_t*>(sink.rows), sink.row_count * static_cast<int32_t>(sizeof(mnnlite_row)), base),
      unless_empty(sink.values, sink.value_count), unless_empty(reinterpret_cast<const uint8_t*>(sink.chars), sink.char_count),
      unless_empty(sink.pixels, sink.pixel_count), sink.found, sink.truncated != 0);
}

}  // namespace mnnlite::python
