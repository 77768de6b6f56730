#include "frame.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <cstring>

#include "errors.hpp"
#include "gil.hpp"
#include "image/formats.hpp"

namespace mnnlite::python {
namespace {

// The part of DLPack's public C structs (v0.8, and the versioned form of v1) that is read here.
struct DLTensor {
  void* data;
  int32_t device_type, device_id;
  int32_t ndim;
  uint8_t type_code, type_bits;
  uint16_t type_lanes;
  int64_t* shape;
  int64_t* strides;  // in elements; null: C order
  uint64_t byte_offset;
};
constexpr int32_t kDlCpu = 1;
constexpr uint8_t kDlUnsigned = 1;

Status wrong_type(const char* role, const char* got) {
  return Status::error(Code::dtype, "%s has elements of type \"%.30s\", wanted uint8 (or uint16); convert it first",
                       role, got);
}

// "B", or "H" in the byte order of this machine.
int itemsize_of(const char* format) {
  if (format == nullptr) return 1;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  if (std::strcmp(format, "B") == 0) return 1;
  if (std::strcmp(format, "H") == 0) return 2;
  return 0;
}

// 'BGR', 'RGB', ...: the names of the formats that are YUV, or not, or both.
std::string names_of(bool packed, bool yuv) {
  std::string text;
  for (int i = 0; i < kFormatCount; ++i) {
    const image::FormatInfo& info = image::info_of(static_cast<Format>(i));
    if (info.sample_bytes != 1 || !(info.family == image::Family::yuv ? yuv : packed)) continue;
    text += (text.empty() ? "'" : ", '") + std::string(info.name) + "'";
  }
  return text;
}

bool is_yuv(Format format) { return image::info_of(format).family == image::Family::yuv; }

Format packed_format(const std::string& word, int32_t itemsize) {
  Format format;
  if (image::find_format(word.c_str(), itemsize, format) && !is_yuv(format)) return format;
  raise(Status::error(Code::argument,
                      "format: got '%.40s', wanted one of %s; YUV frames are made by Frame.nv12 and its like",
                      word.c_str(), names_of(true, false).c_str()));
}

Format yuv_format(const std::string& word) {
  Format format;
  if (image::find_format(word.c_str(), 1, format) && is_yuv(format)) return format;
  raise(Status::error(Code::argument, "format: got '%.40s', wanted one of %s", word.c_str(),
                      names_of(false, true).c_str()));
}

void set_colors(ImageView& view, const std::string& matrix, const std::string& range) {
  if (matrix != "bt601" && matrix != "bt709")
    raise(Status::error(Code::argument, "matrix: got '%.40s', wanted 'bt601' or 'bt709'", matrix.c_str()));
  if (range != "limited" && range != "full")
    raise(Status::error(Code::argument, "range: got '%.40s', wanted 'limited' or 'full'", range.c_str()));
  view.matrix = matrix == "bt709" ? Matrix::bt709 : Matrix::bt601;
  view.range = range == "full" ? Range::full : Range::limited;
}

std::string shape_text(const HeldArray& array) {
  std::string text = "(";
  for (int i = 0; i < array.rank; ++i) text += (i ? ", " : "") + std::to_string(array.shape[i]);
  return text + (array.rank == 1 ? ",)" : ")");
}

// Whether `count` steps of `stride` bytes can be added up at all.
bool spans(py::ssize_t count, py::ssize_t stride) {
  py::ssize_t bytes = 0;
  return !__builtin_mul_overflow(count, stride, &bytes);
}

// `columns` elements in a row after axis 0, lying densely; axis 0 may have any stride that is not negative.
void check_rows(const HeldArray& array, py::ssize_t rows, py::ssize_t columns, py::ssize_t per_pixel,
                const char* role) {
  py::ssize_t elements = 1;
  bool counted = true;
  for (int axis = 1; axis < array.rank; ++axis)
    counted = counted && !__builtin_mul_overflow(elements, array.shape[axis], &elements);
  const bool fits = counted && (array.rank == 2 || (array.rank == 3 && array.shape[2] == per_pixel)) &&
                    elements == columns && array.shape[0] == rows;
  if (!fits) {
    const std::string wanted = per_pixel > 1 ? "(" + std::to_string(rows) + ", " + std::to_string(columns / per_pixel) +
                                                   ", " + std::to_string(per_pixel) + ")"
                                             : "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
    raise(Status::error(Code::layout, "%s has shape %s, wanted %s", role, shape_text(array).c_str(), wanted.c_str()));
  }
  py::ssize_t dense = array.itemsize;
  for (int axis = array.rank - 1; axis >= 1; --axis) {
    if (array.shape[axis] > 1 && array.strides[axis] != dense)
      raise(Status::error(
          Code::layout,
          "%s: axis %d has a stride of %zd bytes, wanted %zd: pixels of a row must lie side by side; pass "
          "numpy.ascontiguousarray of it",
          role, axis, array.strides[axis], dense));
    dense *= array.shape[axis];
  }
  if (array.data == nullptr || !spans(array.shape[0], array.strides[0]))
    raise(Status::error(Code::layout, "%s: %zd rows with a stride of %zd bytes lie in no memory", role, array.shape[0],
                        array.strides[0]));
  if (array.shape[0] > 1 && array.strides[0] < 0)
    raise(Status::error(Code::layout,
                        "%s: axis 0 has a negative stride of %zd bytes, wanted rows from top to bottom; pass "
                        "numpy.ascontiguousarray of it",
                        role, array.strides[0]));
}

void check_size(py::ssize_t width, py::ssize_t height) {
  if (width < 1 || height < 1 || width > 1 << 19 || height > 1 << 19)
    raise(Status::error(Code::argument, "the frame is %zd x %zd pixels, wanted 1 to 524288 a side", width, height));
}

}  // namespace

HeldArray::HeldArray(py::handle object, const char* role) {
  const Working working;  // objects may answer with Python code
  try {
    take(object, role);
  } catch (const py::cast_error& error) {
    release();
    raise(Status::error(Code::argument, "%s cannot be read as an array: %.120s", role, error.what()));
  } catch (py::error_already_set& error) {
    release();
    // Errors of ours say more; others are the object's, but for Ctrl-C.
    if (!error.matches(PyExc_Exception) || error.matches(py::module_::import("mnnlite.errors").attr("MnnliteError")))
      throw;
    raise(
        Status::error(Code::argument, "%s cannot be read as an array: %.120s", role, name_from(error.value()).c_str()));
  }
}

void HeldArray::release() {
  if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
}

void HeldArray::take(py::handle object, const char* role) {
  if (PyObject_CheckBuffer(object.ptr())) {
    if (PyObject_GetBuffer(object.ptr(), &buffer_, PyBUF_STRIDES | PyBUF_FORMAT) != 0) throw py::error_already_set();
    take_buffer(role);
  } else if (py::hasattr(object, "__array_interface__")) {
    owner_ = py::reinterpret_borrow<py::object>(object);
    const py::object interface = object.attr("__array_interface__");
    if (!py::isinstance<py::dict>(interface))
      raise(Status::error(Code::argument, "%s: __array_interface__ is not a dict", role));
    take_interface(interface, role);
  } else if (py::hasattr(object, "__dlpack__")) {
    take_dlpack(object, role);
  } else {
    raise(Status::error(
        Code::argument,
        "%s is a %.60s, wanted an array: anything with the buffer protocol, __array_interface__ or DLPack", role,
        Py_TYPE(object.ptr())->tp_name));
  }
}

HeldArray::~HeldArray() { release(); }

void HeldArray::take_buffer(const char* role) {
  itemsize = itemsize_of(buffer_.format);
  if (itemsize == 0 || buffer_.itemsize != itemsize) raise(wrong_type(role, buffer_.format));
  if (buffer_.ndim < 1 || buffer_.ndim > 4)
    raise(Status::error(Code::layout, "%s has %d axes, wanted 2 or 3", role, buffer_.ndim));
  rank = buffer_.ndim;
  data = static_cast<const uint8_t*>(buffer_.buf);
  for (int i = 0; i < rank; ++i) {
    shape[i] = buffer_.shape[i];
    strides[i] = buffer_.strides[i];
  }
}

void HeldArray::take_interface(const py::dict& interface, const char* role) {
  const std::string type = py::cast<std::string>(interface["typestr"]);
  itemsize = type == "|u1" || type == "<u1" ? 1 : type == "<u2" ? 2 : 0;
  if (itemsize == 0) raise(wrong_type(role, type.c_str()));
  const auto dims = py::cast<std::vector<py::ssize_t>>(py::tuple(interface["shape"]));
  if (dims.empty() || dims.size() > 4)
    raise(Status::error(Code::layout, "%s has %zu axes, wanted 2 or 3", role, dims.size()));
  rank = static_cast<int32_t>(dims.size());
  py::ssize_t dense = itemsize;
  for (int i = rank - 1; i >= 0; --i) {
    shape[i] = dims[static_cast<size_t>(i)];
    strides[i] = dense;
    if (shape[i] < 0 || __builtin_mul_overflow(dense, shape[i], &dense))
      raise(Status::error(Code::layout, "%s has an axis of %zd, or more bytes than there can be", role, shape[i]));
  }
  const py::object given = interface.attr("get")("strides");
  if (!given.is_none()) {
    const auto values = py::cast<std::vector<py::ssize_t>>(py::tuple(given));
    if (values.size() != dims.size())
      raise(Status::error(Code::layout, "%s: shape and strides differ in length", role));
    std::copy(values.begin(), values.end(), strides);
  }
  const py::object memory = interface.attr("get")("data");
  if (py::isinstance<py::tuple>(memory)) {
    const auto pair = py::reinterpret_borrow<py::tuple>(memory);
    if (pair.empty()) raise(Status::error(Code::argument, "%s: __array_interface__ has no data", role));
    data = reinterpret_cast<const uint8_t*>(py::cast<uintptr_t>(pair[0]));
  } else {  // an object with the buffer protocol
    if (memory.is_none() || PyObject_GetBuffer(memory.ptr(), &buffer_, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      raise(Status::error(Code::argument, "%s: __array_interface__ has no data", role));
    }
    const py::ssize_t offset = interface.contains("offset") ? py::cast<py::ssize_t>(interface["offset"]) : 0;
    if (!given.is_none() || offset < 0 || offset > buffer_.len || dense > buffer_.len - offset)
      raise(Status::error(Code::layout, "%s: __array_interface__ describes %zd bytes, its data has %zd", role, dense,
                          buffer_.len));
    data = static_cast<const uint8_t*>(buffer_.buf) + offset;
  }
}

void HeldArray::take_dlpack(py::handle object, const char* role) {
  // The capsule is kept and not consumed: its own destructor gives the memory back.
  owner_ = object.attr("__dlpack__")();
  const auto* tensor = static_cast<const DLTensor*>(PyCapsule_GetPointer(owner_.ptr(), "dltensor"));
  if (tensor == nullptr) throw py::error_already_set();
  if (tensor->device_type != kDlCpu)
    raise(Status::error(Code::argument, "%s lies on device type %d, wanted memory of the CPU; copy it there first",
                        role, tensor->device_type));
  itemsize = tensor->type_bits / 8;
  if (tensor->type_code != kDlUnsigned || tensor->type_lanes != 1 ||
      (tensor->type_bits != 8 && tensor->type_bits != 16))
    raise(Status::error(Code::dtype, "%s has DLPack type code %d with %d bits, wanted uint8 (or uint16)", role,
                        tensor->type_code, tensor->type_bits));
  if (tensor->ndim < 1 || tensor->ndim > 4 || tensor->shape == nullptr)
    raise(Status::error(Code::layout, "%s has %d axes, wanted 2 or 3", role, tensor->ndim));
  rank = tensor->ndim;
  data = static_cast<const uint8_t*>(tensor->data) + tensor->byte_offset;
  py::ssize_t dense = itemsize;
  for (int i = rank - 1; i >= 0; --i) {
    shape[i] = static_cast<py::ssize_t>(tensor->shape[i]);
    strides[i] = dense;
    if (shape[i] < 0 || __builtin_mul_overflow(dense, shape[i], &dense) ||
        (tensor->strides != nullptr && __builtin_mul_overflow(tensor->strides[i], itemsize, &strides[i])))
      raise(Status::error(Code::layout, "%s has an axis of %zd, or more bytes than there can be", role, shape[i]));
  }
}

const char* FrameHandle::format() const noexcept { return image::info_of(view_.format).name; }

void FrameHandle::add_plane(std::shared_ptr<HeldArray> array, int plane) {
  view_.plane[plane] = array->data;
  // A single row may come with any stride; it is never used.
  const ptrdiff_t dense = image::row_bytes(view_.format, plane, view_.width);
  view_.stride[plane] = image::rows_of(view_.format, plane, view_.height) > 1 ? array->strides[0] : dense;
  owners_.push_back(std::move(array));
}

void FrameHandle::finish() {
  check(image::check_view(view_), "frame");
  region_.width = view_.width;
  region_.height = view_.height;
}

FrameHandle FrameHandle::packed(const py::object& array, const std::string& format, int32_t bits) {
  auto held = std::make_shared<HeldArray>(array, "the frame");
  FrameHandle frame;
  frame.view_.bits = bits;
  frame.view_.format = packed_format(format, held->itemsize);
  const image::FormatInfo& info = image::info_of(frame.view_.format);
  if (held->rank < 2 || held->rank > 3)
    raise(Status::error(Code::layout, "the %s frame has shape %s, wanted (height, width%s)", info.name,
                        shape_text(*held).c_str(), info.components == 1 ? ")" : ", channels"));
  check_size(held->shape[1], held->shape[0]);
  const py::ssize_t channels = info.components;
  if (held->rank != 3 && channels != 1)
    raise(Status::error(Code::layout, "the %s frame has shape %s, wanted (height, width, %zd)", info.name,
                        shape_text(*held).c_str(), channels));
  frame.view_.width = static_cast<int32_t>(held->shape[1]);
  frame.view_.height = static_cast<int32_t>(held->shape[0]);
  check_rows(*held, held->shape[0], held->shape[1] * channels, channels, "the frame");
  frame.add_plane(std::move(held), 0);
  frame.finish();
  return frame;
}

FrameHandle FrameHandle::yuv(const std::string& format, const py::sequence& arrays, const std::string& matrix,
                             const std::string& range) {
  FrameHandle frame;
  frame.view_.format = yuv_format(format);
  set_colors(frame.view_, matrix, range);
  const image::FormatInfo& info = image::info_of(frame.view_.format);
  constexpr const char* roles[3][3] = {{"the frame", "", ""}, {"y", "uv", ""}, {"y", "u", "v"}};
  for (int plane = 0; plane < info.planes; ++plane) {
    const char* role = roles[info.planes - 1][plane];
    auto held = std::make_shared<HeldArray>(arrays[static_cast<size_t>(plane)], role);
    if (held->itemsize != 1)
      raise(Status::error(Code::dtype, "%s is uint16, YUV frames are uint8; convert it first", role));
    if (held->rank < 2 || held->rank > 3)
      raise(Status::error(Code::layout, "%s has shape %s, wanted 2 or 3 axes", role, shape_text(*held).c_str()));
    if (plane == 0) {
      const py::ssize_t per_pixel = info.planes == 1 ? 2 : 1;
      const py::ssize_t width =
          held->rank == 3 && held->shape[2] == per_pixel ? held->shape[1] : held->shape[1] / per_pixel;
      check_size(width, held->shape[0]);
      if (info.planes == 1 && width % 2 != 0)
        raise(
            Status::error(Code::layout, "a %s frame holds pairs of pixels, got an odd width of %zd", info.name, width));
      frame.view_.width = static_cast<int32_t>(width);
      frame.view_.height = static_cast<int32_t>(held->shape[0]);
      check_rows(*held, held->shape[0], width * per_pixel, per_pixel, role);
    } else {
      const py::ssize_t columns = image::row_bytes(frame.view_.format, plane, frame.view_.width);
      check_rows(*held, image::rows_of(frame.view_.format, plane, frame.view_.height), columns,
                 info.planes == 2 ? 2 : 1, role);
    }
    frame.add_plane(std::move(held), plane);
  }
  frame.finish();
  return frame;
}

FrameHandle FrameHandle::planes(const std::string& format, const py::sequence& buffers,
                                const std::vector<py::ssize_t>& strides, int32_t width, int32_t height, int itemsize,
                                int32_t bits, const std::string& matrix, const std::string& range) {
  FrameHandle frame;
  frame.view_.bits = bits;
  if (!image::find_format(format.c_str(), itemsize, frame.view_.format))
    raise(Status::error(Code::argument, "format: got '%.40s', wanted one of %s", format.c_str(),
                        names_of(true, true).c_str()));
  set_colors(frame.view_, matrix, range);
  check_size(width, height);
  frame.view_.width = width;
  frame.view_.height = height;
  const image::FormatInfo& info = image::info_of(frame.view_.format);
  if (py::len(buffers) < static_cast<size_t>(info.planes) || strides.size() < static_cast<size_t>(info.planes))
    raise(Status::error(Code::argument, "a %s frame has %d planes, got %zu", info.name, info.planes, py::len(buffers)));
  for (int plane = 0; plane < info.planes; ++plane) {
    auto held = std::make_shared<HeldArray>(buffers[static_cast<size_t>(plane)], "plane");
    const py::ssize_t stride = strides[static_cast<size_t>(plane)],
                      row = image::row_bytes(frame.view_.format, plane, width);
    const py::ssize_t rows = image::rows_of(frame.view_.format, plane, height);
    if (held->rank != 1 || held->itemsize != 1)
      raise(Status::error(Code::layout, "plane %d has shape %s, wanted bytes", plane, shape_text(*held).c_str()));
    py::ssize_t before_last = 0;
    if (stride < 0 || __builtin_mul_overflow(stride, rows - 1, &before_last) || held->shape[0] < row ||
        before_last > held->shape[0] - row)
      raise(Status::error(Code::layout, "plane %d has %zd bytes, %zd rows of %zd with a stride of %zd need more", plane,
                          held->shape[0], rows, row, stride));
    held->strides[0] = stride;
    frame.add_plane(std::move(held), plane);
  }
  frame.finish();
  return frame;
}

FrameHandle FrameHandle::roi(double x, double y, double width, double height) const {
  if (!(std::isfinite(x) && std::isfinite(y) && width > 0 && height > 0 && std::isfinite(width) &&
        std::isfinite(height)))
    raise(Status::error(Code::argument,
                        "roi: got x=%g, y=%g, width=%g, height=%g, wanted finite numbers and a size above 0", x, y,
                        width, height));
  FrameHandle part = *this;
  part.region_ = {Mapping::scale_shift(1, 1, x, y), width, height};
  check(image::check_region(part.region_), "roi");
  return part;
}

FrameHandle FrameHandle::quad(const std::vector<double>& points) const {
  FrameHandle part = *this;
  check(image::region_of_quad(points.data(), part.region_), "quad");
  return part;
}

}  // namespace mnnlite::python
