// Views of memory that somebody else owns. Plain data: what crosses the border between rooms.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mnnlite/decoder.h"

namespace mnnlite {

using TensorView = mnnlite_tensor;

enum class DType : int32_t {
  f32 = MNNLITE_F32,
  f16 = MNNLITE_F16,
  i32 = MNNLITE_I32,
  u8 = MNNLITE_U8,
  i8 = MNNLITE_I8
};

enum class Layout : int32_t {
  plain = MNNLITE_PLAIN,
  nchw = MNNLITE_NCHW,
  nhwc = MNNLITE_NHWC,
  nc4hw4 = MNNLITE_NC4HW4,
  nc8hw8 = MNNLITE_NC8HW8,
};

inline DType dtype_of(const TensorView& tensor) noexcept { return static_cast<DType>(tensor.dtype); }
inline Layout layout_of(const TensorView& tensor) noexcept { return static_cast<Layout>(tensor.layout); }

constexpr size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16: return 2;
    case DType::u8:
    case DType::i8: return 1;
  }
  return 0;
}

constexpr const char* name_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32: return "float32";
    case DType::f16: return "float16";
    case DType::i32: return "int32";
    case DType::u8: return "uint8";
    case DType::i8: return "int8";
  }
  return "?";
}

constexpr const char* name_of(Layout layout) noexcept {
  switch (layout) {
    case Layout::plain: return "plain";
    case Layout::nchw: return "NCHW";
    case Layout::nhwc: return "NHWC";
    case Layout::nc4hw4: return "NC4HW4";
    case Layout::nc8hw8: return "NC8HW8";
  }
  return "?";
}

// Channels of one packed group; 1 for layouts without groups.
constexpr int32_t pack_of(Layout layout) noexcept {
  return layout == Layout::nc4hw4 ? 4 : layout == Layout::nc8hw8 ? 8 : 1;
}

// Elements that lie in memory, the padding of packed channels included.
inline size_t stored_elements(const TensorView& tensor) noexcept {
  const int32_t pack = pack_of(layout_of(tensor));
  size_t count = 1;
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    const int32_t extent = tensor.dims[axis];
    count *= static_cast<size_t>(axis == 1 ? (extent + pack - 1) / pack * pack : extent);
  }
  return count;
}

inline size_t stored_bytes(const TensorView& tensor) noexcept {
  return stored_elements(tensor) * size_of(dtype_of(tensor));
}

// Pixel formats. The 16-bit ones hold native-endian uint16.
enum class Format : int32_t {
  rgb,
  bgr,
  rgba,
  bgra,
  gray,
  rgb16,
  bgr16,
  rgba16,
  bgra16,
  gray16,
  nv12,
  nv21,
  i420,
  yuyv,
  uyvy,
};
constexpr int kFormatCount = static_cast<int>(Format::uyvy) + 1;  // the last one

enum class Matrix : int32_t { bt601, bt709 };
enum class Range : int32_t { limited, full };

// An image as a camera or a decoder gives it. Strides are in bytes between rows and not negative.
// Planes: packed formats use plane[0]; nv12/nv21 Y and interleaved chroma; i420 Y, U, V.
struct ImageView {
  Format format = Format::bgr;
  int32_t width = 0;
  int32_t height = 0;
  const uint8_t* plane[3] = {nullptr, nullptr, nullptr};
  ptrdiff_t stride[3] = {0, 0, 0};
  Matrix matrix = Matrix::bt601;  // YUV only
  Range range = Range::limited;   // YUV only
  int32_t bits = 0;  // of a sample: 8, of 16-bit formats 10 to 16; 0: all that it has. 2^bits - 1 counts as 255
};

}  // namespace mnnlite
