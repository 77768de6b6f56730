// A Python object becomes an ImageView here and nowhere else.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <vector>

#include "core/views.hpp"
#include "image/geometry.hpp"

namespace mnnlite::python {

namespace py = pybind11;

// Array memory of a Python object, held as long as this lives; the object itself is kept, its memory cannot move.
// From the buffer protocol, __array_interface__ or DLPack (CPU), in this order. Needs the GIL at both ends.
class HeldArray {
 public:
  // `role` is how errors call it, e.g. "y".
  HeldArray(py::handle object, const char* role);
  ~HeldArray();
  HeldArray(const HeldArray&) = delete;
  HeldArray& operator=(const HeldArray&) = delete;

  const uint8_t* data = nullptr;
  int32_t itemsize = 1;  // 1 or 2, unsigned
  int32_t rank = 0;
  py::ssize_t shape[4] = {};
  py::ssize_t strides[4] = {};  // bytes

 private:
  void take(py::handle object, const char* role);
  void release();
  void take_buffer(const char* role);
  void take_interface(const py::dict& interface, const char* role);
  void take_dlpack(py::handle object, const char* role);

  Py_buffer buffer_{};
  py::object owner_;
};

// What mnnlite.Frame holds: an image, the part of it that is meant, and what keeps the memory alive. Immutable.
class FrameHandle {
 public:
  // RGB, BGR, RGBA, BGRA (H, W, C) or GRAY (H, W), uint8 or uint16; bits of a sample, 0: all of them.
  static FrameHandle packed(const py::object& array, const std::string& format, int32_t bits);
  // One array a plane: y, uv; y, u, v; or one with all.
  static FrameHandle yuv(const std::string& format, const py::sequence& arrays, const std::string& matrix,
                         const std::string& range);
  // Planes of bytes with the strides beside them, as video decoders give them.
  static FrameHandle planes(const std::string& format, const py::sequence& buffers,
                            const std::vector<py::ssize_t>& strides, int32_t width, int32_t height, int itemsize,
                            int32_t bits, const std::string& matrix, const std::string& range);

  // Frame pixels; the result shares the memory.
  FrameHandle roi(double x, double y, double width, double height) const;
  FrameHandle quad(const std::vector<double>& points) const;  // x, y of top-left, top-right, bottom-right, bottom-left

  const ImageView& view() const noexcept { return view_; }
  const Region& region() const noexcept { return region_; }
  const char* format() const noexcept;

 private:
  void add_plane(std::shared_ptr<HeldArray> array, int plane);
  void finish();

  ImageView view_;
  Region region_;
  std::vector<std::shared_ptr<HeldArray>> owners_;
};

}  // namespace mnnlite::python
