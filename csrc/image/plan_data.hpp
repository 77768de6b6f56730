// What ImagePlan::make has worked out, shared by the passes (axis_aligned, area, warped). Plain data.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/memory.hpp"
#include "core/views.hpp"
#include "image/formats.hpp"
#include "image/geometry.hpp"
#include "image/kernels.hpp"
#include "image/spec.hpp"

namespace mnnlite::image {

// Components that lie together in a plane and are sampled by one call.
struct Group {
  int8_t plane, base, count, step, shift_x, shift_y;  // base: byte of the first component in a pixel
  Kind kind;
  int8_t component[4];  // in the order of memory
};

enum class Convert : int8_t { none, yuv_rgb, yuv_gray, rgb_gray };

constexpr int32_t kMaxStored = 8;    // channels of a tensor with the padding of packed layouts
constexpr int8_t kOpaque = -1;       // Channel::source: alpha that the frame does not have
constexpr int8_t kPackPadding = -2;  // Channel::source: a channel that only the packed layout has

struct Channel {
  int8_t source;  // row of v after the conversion
  ptrdiff_t at;   // elements from the start of a slot
  float k, b;
  uint8_t pad[4];       // one element where there is no picture
  uint8_t constant[4];  // one element of a channel without a source
};

struct PlanData {
  ImageSpec spec;
  Format format = Format::bgr;
  const FormatInfo* info = nullptr;
  int32_t sample_bits = 8;  // 2^sample_bits - 1 counts as p = 255
  const Kernels* kernels = nullptr;
  int32_t width = 0, height = 0;  // of the network
  int32_t max_items = 0;
  TensorView desc{};

  Group groups[3]{};
  int32_t group_count = 0;
  Convert convert = Convert::none;
  int32_t sampled_bits = 0;  // fraction bits of v before the conversion, and after it
  int32_t bits = 0;

  Channel channels[kMaxStored];
  int32_t stored = 0;      // channels in use
  bool constants = false;  // some of them have no source
  Store store = Store::f32;
  bool fused = false;      // sampling, normalisation and storing in one kernel
  bool fused_yuv = false;  // the same with the colour matrix between
  int32_t element = 4;
  ptrdiff_t x_step = 1, row_step = 0, slot_step = 0;  // elements
};

constexpr Chroma chroma_of(const FormatInfo& info) noexcept {
  return info.planes == 3 ? Chroma::planes : info.planes == 2 ? Chroma::pairs : Chroma::packed;
}

YuvMatrix yuv_matrix(Matrix matrix, Range range) noexcept;

// Hands out parts of the scratch; with a null base it only counts.
class ScratchAllocator {
 public:
  explicit ScratchAllocator(void* base) noexcept : base_(static_cast<uint8_t*>(base)) {}
  template <typename T>
  T* take(size_t count) noexcept {
    T* part = base_ != nullptr ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    used_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return part;
  }
  size_t used() const noexcept { return used_; }

 private:
  uint8_t* base_;
  size_t used_ = 0;
};

// Everything a pass needs for one slot.
struct Job {
  const PlanData& plan;
  const ImageView& view;
  Region region;
  Placement placed;
  Mapping map;  // network -> frame
  YuvMatrix yuv;
  uint8_t* slot;
  void* scratch;
};

// The passes: bilinear and nearest on axis-aligned regions; area on axis-aligned regions; bilinear and nearest on anything else.
size_t scratch_axis_aligned(const PlanData& plan) noexcept;
void run_axis_aligned(const Job& job) noexcept;
size_t scratch_area(const PlanData& plan, int32_t frame_width) noexcept;
void run_area(const Job& job) noexcept;
size_t scratch_warped(const PlanData& plan) noexcept;
void run_warped(const Job& job) noexcept;

// Network columns and rows of an axis-aligned region whose centres lie on the frame.
struct Window {
  int32_t x_begin, x_end, y_begin, y_end;
};
Window visible(const Job& job) noexcept;

// Position of a network pixel's centre in samples of a component that is subsampled by `shift`, in 1/2048.
inline int64_t centre(double scale, double shift_by, int32_t index, int shift) noexcept {
  const double position = scale * (index + 0.5) + shift_by;
  return fixed(shift != 0 ? position * 0.5 : position);
}

// The first of two neighbours and the weight of the second, at most 2047 of 2048 (kernels rely on it). Beyond the bounds
// the edge is repeated.
struct Tap {
  int32_t index, weight1;
};
inline Tap tap_at(int64_t position, Bounds bounds, bool nearest) noexcept {
  if (nearest) {
    const int64_t index = position >> kPositionBits;
    return {static_cast<int32_t>(index < bounds.first ? bounds.first : index > bounds.last ? bounds.last : index), 0};
  }
  const int64_t from_centre = position - kOne / 2, index = from_centre >> kPositionBits;
  if (index < bounds.first) return {bounds.first, 0};
  if (index >= bounds.last) return {bounds.last, 0};
  return {static_cast<int32_t>(index), static_cast<int32_t>(from_centre & (kOne - 1))};
}
constexpr int32_t pair_of(int32_t weight1) noexcept { return (kOne - weight1) | weight1 << 16; }

// Rows of v (indexed by component) -> colour -> tensor. Column 0 of v is network column x.
void finish_row(const Job& job, int32_t* const v[4], int32_t x, int32_t y, int32_t count) noexcept;
// Padding in network columns [x, x + count) of row y.
void pad_row(const Job& job, int32_t x, int32_t y, int32_t count) noexcept;
// Channels that have the same value everywhere: alpha of a frame without one, and the padding of packed layouts.
void fill_constant_channels(const Job& job, int32_t x, int32_t y, int32_t count) noexcept;
inline uint8_t* element_at(const Job& job, const Channel& channel, int32_t x, int32_t y) noexcept {
  return job.slot + (channel.at + y * job.plan.row_step + x * job.plan.x_step) * job.plan.element;
}

}  // namespace mnnlite::image
