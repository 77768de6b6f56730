// The inner loops of decoders and which instruction set they run on. As in the image room a table holds one function a
// kernel, and there is one table an instruction set: the same source compiled twice, so the same bits.
#pragma once

#include <cstdint>

#include "core/isa.hpp"
#include "decode/common/channel_argmax.hpp"
#include "decode/common/row_max.hpp"

namespace mnnlite {

struct Candidate;

// The first boxes that were kept, field by field, so that a candidate is compared with several of them at once.
struct KeptBoxes {
  static constexpr int32_t kMost = 1024, kStep = 16;
  alignas(64) float x1[kMost], y1[kMost], x2[kMost], y2[kMost], area[kMost];
  alignas(64) int32_t class_id[kMost];
};

struct DecodeKernels {
  bool (*channel_argmax)(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best,
                         int32_t* index) noexcept;
  bool (*channel_argmax_bytes)(const float* planes, int32_t channels, int64_t stride, int64_t count,
                               uint8_t* out) noexcept;
  int32_t (*above)(const float* values, int32_t count, float cut, int32_t* out) noexcept;
  RowMax (*row_max)(const float* values, int32_t count, float cut) noexcept;
  bool (*all_finite)(const float* values, int64_t count) noexcept;  // of 8 or more
  bool (*interleaved_maxima)(const float* pixels, int32_t count, int32_t channels, float* best,
                             int32_t* index) noexcept;
  // out[i] = sigmoid_f32(values[i]), to the bit; `out` may be `values`.
  void (*sigmoids)(const float* values, int32_t count, float* out) noexcept;
  // Whether one of the first `count` kept boxes overlaps the candidate by more than `iou`. Boxes up to the next whole step
  // are read too; they must be empty.
  bool (*any_overlap)(const KeptBoxes& kept, int32_t count, const Candidate& candidate, float iou,
                      bool agnostic) noexcept;
  // sums[x] += weights[c] * plane[c * step + x], in the order of c.
  void (*add_planes)(float* sums, const float* plane, int64_t step, const float* weights, int32_t channels,
                     int32_t count) noexcept;
  // out[x] = row[first[x]] * (1 - weight[x]) + row[min(first[x] + 1, extent - 1)] * weight[x].
  void (*mix_columns)(const float* row, int32_t extent, const int32_t* first, const float* weight, int32_t count,
                      float* out) noexcept;
  // out[x] = above[x] * (1 - weight) + below[x] * weight. `out` overlaps neither.
  void (*mix_rows)(const float* above, const float* below, float weight, int32_t count, float* out) noexcept;
};

// The table of an instruction set; sets without one of their own have the baseline's.
const DecodeKernels& decode_kernels_of(Isa isa) noexcept;
// The one in use.
inline const DecodeKernels& decode_kernels() noexcept { return decode_kernels_of(active_isa()); }

// Each in the file of its instruction set, inside a target region.
extern const DecodeKernels kDecodeBaseline;
#if defined(__x86_64__) && defined(__GNUC__)
extern const DecodeKernels kDecodeAvx2;
#endif

}  // namespace mnnlite
