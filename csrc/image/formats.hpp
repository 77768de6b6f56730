// Where a format keeps its components, so that everything else can be written without a switch over formats.
#pragma once

#include <cstdint>

#include "core/status.hpp"
#include "core/views.hpp"

namespace mnnlite::image {

// One component (B, or U, ...): sample (i, j) lies at plane[plane] + j * stride[plane] + i * step + offset bytes.
// Chroma of a subsampled format has one sample for (1 << shift_x) x (1 << shift_y) pixels.
struct Component {
  int8_t plane, offset, step, shift_x, shift_y;
};

enum class Family : int8_t { rgb, gray, yuv };

struct FormatInfo {
  const char* name;
  Family family;
  int8_t sample_bytes;  // 1 or 2
  int8_t planes;
  int8_t components;               // sampled ones
  int8_t red, green, blue, alpha;  // which component; -1: none. Of yuv and gray, of no meaning
  Component component[4];
};

// The table has a row for each Format, in order; this is the only place where a format's name is read.
const FormatInfo& info_of(Format format) noexcept;
// By name, of samples of 1 or 2 bytes; false if there is none.
bool find_format(const char* name, int sample_bytes, Format& format) noexcept;

// Samples of a plane across or down for an image of `size` pixels: halves are rounded up.
constexpr int32_t samples_of(int32_t size, int shift) noexcept { return (size + (1 << shift) - 1) >> shift; }

// Bytes of a row that belong to the image.
ptrdiff_t row_bytes(Format format, int plane, int32_t width) noexcept;
int32_t rows_of(Format format, int plane, int32_t height) noexcept;

// Of a sample: view.bits, or all that the format has.
int32_t bits_of(const ImageView& view) noexcept;

// Size, planes and strides make sense. Does not know how large the memory is: who makes the view does.
Status check_view(const ImageView& view) noexcept;

}  // namespace mnnlite::image
