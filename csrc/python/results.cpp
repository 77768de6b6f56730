#include "python/results.hpp"

#include <cstring>

#include "python/constructor.hpp"
#include "python/named_tuple.hpp"

namespace mnnlite::python {
namespace {

PyStructSequence_Field kFields[] = {{"kind", "Which of mnnlite.results, by enum mnnlite_kind."},
                                    {"rows", "Bytes of mnnlite_row."},
                                    {"values", "float32; as chars and pixels, None or empty where there are none."},
                                    {"chars", "uint8"},
                                    {"pixels", "uint8"},
                                    {"found", "How many rows there would be if there were room for all."},
                                    {"truncated", nullptr},
                                    {nullptr, nullptr}};
PyTypeObject* native_results = nullptr;  // made with the module and never destroyed

template <class T>
py::array make_array(const T* data, py::ssize_t count, const py::object& base) {
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

// The first `count` of the array.
py::object head(const py::array& whole, py::ssize_t count) { return whole[py::slice(0, count, 1)]; }

py::object owner_of(const std::shared_ptr<SinkBuffer>& buffer) {
  using Owner = std::shared_ptr<SinkBuffer>;
  return py::capsule(new Owner(buffer), [](void* owner) { delete static_cast<Owner*>(owner); });
}

template <class T>
py::array_t<T> over(const SinkBuffer& buffer, int pool, const void* data, const py::object& base) {
  const auto count = static_cast<py::ssize_t>(buffer.room(pool) / sizeof(T));
  return count == 0 ? py::array_t<T>(0) : py::array_t<T>(count, static_cast<const T*>(data), base);
}

}  // namespace

py::tuple ResultBuffer::results() {
  const mnnlite_sink& sink = pools_->sink();
  if (shown_ != pools_) {
    const py::object base = owner_of(pools_);
    rows_ = over<uint8_t>(*pools_, 0, sink.rows, base);
    values_ = over<float>(*pools_, 1, sink.values, base);
    chars_ = over<uint8_t>(*pools_, 2, sink.chars, base);
    pixels_ = over<uint8_t>(*pools_, 3, sink.pixels, base);
    shown_ = pools_;
  }
  return make_named_tuple(native_results, pools_->kind(),
                          head(rows_, sink.row_count * static_cast<py::ssize_t>(sizeof(mnnlite_row))),
                          head(values_, sink.value_count), head(chars_, sink.char_count),
                          head(pixels_, sink.pixel_count), sink.found, sink.truncated != 0);
}

py::tuple results_to_python(const std::shared_ptr<SinkBuffer>& buffer, bool borrow) {
  const py::object base = borrow ? owner_of(buffer) : py::object();
  const mnnlite_sink& sink = buffer->sink();
  // Most results have no more than one or two of these, and an empty array costs as much as a full one.
  const auto unless_empty = [&base](const auto* data, int32_t count) -> py::object {
    return count == 0 ? py::object(py::none()) : py::object(make_array(data, count, base));
  };
  return make_named_tuple(native_results, buffer->kind(),
                          make_array(reinterpret_cast<const uint8_t*>(sink.rows),
                                     sink.row_count * static_cast<py::ssize_t>(sizeof(mnnlite_row)), base),
                          unless_empty(sink.values, sink.value_count),
                          unless_empty(reinterpret_cast<const uint8_t*>(sink.chars), sink.char_count),
                          unless_empty(sink.pixels, sink.pixel_count), sink.found, sink.truncated != 0);
}

void bind_results(py::module_& module) {
  native_results = make_named_tuple_type(module, "mnnlite._core.NativeResults", kFields);
  py::class_<ResultBuffer>(module, "ResultBuffer")
      .def("__init__", constructor(&make_unique_from<ResultBuffer>), IsConstructor());
}

}  // namespace mnnlite::python
