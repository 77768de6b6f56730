// mnnlite._core: the image room.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>

#include "arrays.hpp"
#include "constructor.hpp"
#include "core/memory.hpp"
#include "errors.hpp"
#include "frame.hpp"
#include "gil.hpp"
#include "image/plan.hpp"
#include "image_spec.hpp"

namespace mnnlite::python {
namespace {

// Words that mnnlite.ImageSpec has checked already; the position in the list is the enumerator.
template <typename Enum, size_t N>
Enum enum_of(const py::handle& word, const char* const (&words)[N], const char* name) {
  const std::string text = py::cast<std::string>(word);
  for (size_t i = 0; i < N; ++i)
    if (text == words[i]) return static_cast<Enum>(i);
  raise(Status::error(Code::argument, "%s: got '%.40s'", name, text.c_str()));
}

constexpr const char* kFits[] = {"stretch", "letterbox", "crop"};
constexpr const char* kAnchors[] = {"center", "top_left", "bottom"};
constexpr const char* kColors[] = {"RGB", "BGR", "RGBA", "BGRA", "GRAY"};
constexpr const char* kFilters[] = {"nearest", "bilinear", "area"};
constexpr const char* kDTypes[] = {"", "float32", "float16", "int32", "uint8", "int8"};
constexpr const char* kLayouts[] = {"plain", "NCHW", "NHWC", "NC4HW4", "NC8HW8"};

void numbers_of(const py::handle& values, double (&out)[4]) {
  int index = 0;
  for (py::handle value : values) {
    if (index == 4) break;
    out[index++] = py::cast<double>(value);
  }
}

// A plan with the shape of the arrays it fills.
class NativePlan {
 public:
  NativePlan(const py::object& spec, int32_t format, int32_t bits, int32_t width, int32_t height, int32_t items) {
    const ImageSpec native = image_spec_from(spec);
    TensorView tensor{};
    tensor.name = "out";
    tensor.dtype = native.dtype != 0 ? native.dtype : MNNLITE_F32;
    tensor.layout = native.layout >= 0 ? native.layout : MNNLITE_NCHW;
    tensor.rank = 4;
    const int32_t channels = channels_of(native.color);
    const bool last = layout_of(tensor) == Layout::nhwc;
    const std::array<int32_t, 4> dims = last ? std::array<int32_t, 4>{items, height, width, channels}
                                             : std::array<int32_t, 4>{items, channels, height, width};
    std::copy(dims.begin(), dims.end(), tensor.dims);
    check(ImagePlan::make(native, static_cast<Format>(format), tensor, items, plan_, nullptr, bits), "preprocess");
    tensor_ = tensor;
    array_ = tensor;
    if (const int32_t pack = pack_of(layout_of(tensor)); pack > 1) {  // as NumPy shows it
      array_.rank = 5;
      array_.layout = MNNLITE_PLAIN;
      array_.dims[1] = (channels + pack - 1) / pack;
      array_.dims[4] = pack;
    }
  }

  py::tuple shape() const {
    py::tuple result(array_.rank);
    for (int i = 0; i < array_.rank; ++i) result[static_cast<size_t>(i)] = array_.dims[i];
    return result;
  }
  const char* dtype() const { return name_of(dtype_of(tensor_)); }

  // Fill the first slots of `out` from the frames, in their order.
  void run(const py::sequence& frames, const py::object& out) const {
    const size_t count = py::len(frames);
    // Read with the GIL: views and regions are plain data, and the caller's frames keep their memory alive.
    std::vector<ImageView> views(count);
    std::vector<Region> regions(count);
    for (size_t i = 0; i < count; ++i) {
      const auto& frame = py::cast<const FrameHandle&>(frames[i]);
      views[i] = frame.view();
      if (!plan_.fits(views[i]))
        raise(Status::error(
            Code::argument, "apply: got frames of %s and %s, of %d and %d bits, wanted one format in a call",
            image::info_of(views[0].format).name, frame.format(), image::bits_of(views[0]), image::bits_of(views[i])));
      regions[i] = frame.region();
    }
    HeldBuffer held;
    check(held.hold(out, array_, "out", true), "preprocess");
    TensorView target = tensor_;
    target.data = held.data();
    Status status;
    {
      // Below no Python object is touched: only memory that `held` and the frames of the caller keep.
      const GilRelease release;
      status = fill(views, regions, target);
    }
    check(status, "preprocess");
  }

 private:
  Status fill(const std::vector<ImageView>& views, const std::vector<Region>& regions,
              const TensorView& out) const noexcept {
    thread_local Scratch scratch;  // grows to the largest plan of the thread, then nothing is allocated
    for (size_t i = 0; i < views.size();) {
      size_t end = i + 1;
      while (end < views.size() && same_image(views[i], views[end])) ++end;
      const size_t bytes = plan_.scratch_bytes(views[i].width, views[i].height);
      if (!scratch.reserve(bytes))
        return Status::error(Code::out_of_memory, "no memory for %zu bytes of scratch", bytes);
      MNNLITE_TRY(plan_.run(views[i], &regions[i], static_cast<int32_t>(end - i),
                            slots_from(out, static_cast<int32_t>(i)), scratch.data()));
      i = end;
    }
    return {};
  }

  static bool same_image(const ImageView& a, const ImageView& b) noexcept {
    return a.plane[0] == b.plane[0] && a.width == b.width && a.height == b.height && a.stride[0] == b.stride[0] &&
           a.format == b.format && a.plane[1] == b.plane[1] && a.plane[2] == b.plane[2] && a.stride[1] == b.stride[1] &&
           a.stride[2] == b.stride[2] && a.matrix == b.matrix && a.range == b.range && a.bits == b.bits;
  }

  ImagePlan plan_;
  TensorView tensor_{}, array_{};
};

py::tuple region_of(const FrameHandle& frame) {
  const Region& region = frame.region();
  py::tuple map(9);
  for (size_t i = 0; i < 9; ++i) map[i] = region.to_frame.m[i];
  return py::make_tuple(region.width, region.height, map);
}

}  // namespace

ImageSpec image_spec_from(const py::handle& spec) {
  ImageSpec native;
  if (const py::object size = spec.attr("size"); !size.is_none()) {
    const auto values = py::cast<std::pair<int32_t, int32_t>>(size);
    native.width = values.first;
    native.height = values.second;
  }
  native.fit = enum_of<Fit>(spec.attr("fit"), kFits, "fit");
  native.anchor = enum_of<Anchor>(spec.attr("anchor"), kAnchors, "anchor");
  native.color = enum_of<Color>(spec.attr("color"), kColors, "color");
  native.filter = enum_of<Filter>(spec.attr("filter"), kFilters, "filter");
  native.multiple = py::cast<int32_t>(spec.attr("multiple"));
  numbers_of(spec.attr("mean"), native.mean);
  numbers_of(spec.attr("std"), native.std);
  numbers_of(spec.attr("pad"), native.pad);
  if (const py::object dtype = spec.attr("dtype"); !dtype.is_none())
    native.dtype = enum_of<int32_t>(dtype, kDTypes, "dtype");
  if (const py::object layout = spec.attr("layout"); !layout.is_none())
    native.layout = enum_of<int32_t>(layout, kLayouts, "layout");
  if (const py::object scale = spec.attr("scale"); !scale.is_none()) native.scale = py::cast<double>(scale);
  if (const py::object zero = spec.attr("zero_point"); !zero.is_none()) {
    native.zero_point = py::cast<int32_t>(zero);
    native.has_zero_point = true;
  }
  check(check_spec(native));
  return native;
}

void bind_image(py::module_& module) {
  py::class_<FrameHandle>(module, "FrameHandle", py::is_final())
      .def_static("packed", &FrameHandle::packed, py::arg("array"), py::arg("format"), py::arg("bits"))
      .def_static("yuv", &FrameHandle::yuv, py::arg("format"), py::arg("arrays"), py::arg("matrix"), py::arg("range"))
      .def_static("planes", &FrameHandle::planes, py::arg("format"), py::arg("buffers"), py::arg("strides"),
                  py::arg("width"), py::arg("height"), py::arg("itemsize"), py::arg("bits"), py::arg("matrix"),
                  py::arg("range"))
      .def("roi", &FrameHandle::roi, py::arg("x"), py::arg("y"), py::arg("width"), py::arg("height"))
      .def(
          "quad",
          [](const FrameHandle& frame, const std::array<double, 8>& points) {
            return frame.quad(std::vector<double>(points.begin(), points.end()));
          },
          py::arg("points"))
      .def_property_readonly("width", [](const FrameHandle& frame) { return frame.view().width; })
      .def_property_readonly("height", [](const FrameHandle& frame) { return frame.view().height; })
      .def_property_readonly("format", &FrameHandle::format)
      .def_property_readonly(
          "matrix", [](const FrameHandle& frame) { return frame.view().matrix == Matrix::bt709 ? "bt709" : "bt601"; })
      .def_property_readonly(
          "range", [](const FrameHandle& frame) { return frame.view().range == Range::full ? "full" : "limited"; })
      // With 8 and 16 bits told apart; for ImagePlan.
      .def_property_readonly("sample_format",
                             [](const FrameHandle& frame) { return static_cast<int32_t>(frame.view().format); })
      .def_property_readonly("bits", [](const FrameHandle& frame) { return image::bits_of(frame.view()); })
      .def_property_readonly("region", &region_of);

  py::class_<NativePlan>(module, "ImagePlan", py::is_final())
      .def("__init__",
           constructor(&make_unique_from<NativePlan, const py::object&, int32_t, int32_t, int32_t, int32_t, int32_t>),
           IsConstructor(), py::arg("spec"), py::arg("format"), py::arg("bits"), py::arg("width"), py::arg("height"),
           py::arg("items"))
      .def_property_readonly("shape", &NativePlan::shape)
      .def_property_readonly("dtype", &NativePlan::dtype)
      .def("run", &NativePlan::run, py::arg("frames"), py::arg("out"));

  module.def(
      "network_size",
      [](const py::object& spec, const FrameHandle& frame) {
        const ImageSpec native = image_spec_from(spec);
        int32_t width = 0, height = 0;
        network_size(native, frame.region().width, frame.region().height, width, height);
        return py::make_tuple(width, height);
      },
      py::arg("spec"), py::arg("frame"));
}

}  // namespace mnnlite::python
