// Bodies of the kernels, compiled once for each instruction set: they take on the target of the functions that a file
// makes of them, which is why they are always inlined. No contraction, so the bits are the same.
#include <cmath>
#include <limits>

#include "decode/common/kernels.hpp"
#include "decode/common/math.hpp"
#include "decode/common/nms.hpp"
#include "decode/common/simd.hpp"

namespace mnnlite {
namespace {

// How far ahead lines are asked for, in strips. What is asked for must stay in the first-level cache: 8 strips of 19
// planes do, 1 of 80 does (each measured best of 0 to 16).
constexpr int32_t strips_ahead(int32_t channels) noexcept { return channels <= 32 ? 8 : 1; }

// `Index` is int32_t or uint8_t.
template <class S, class Index>
MNNLITE_INLINE bool channel_argmax_body(const float* planes, int32_t channels, int64_t stride, int64_t count,
                                        float* best, Index* index) noexcept {
  using F = typename S::F;
  using I = typename S::I;
  constexpr int32_t kWidth = S::kWidth, kStrip = 4 * kWidth;  // pixels that go through all planes in registers
  const int32_t ahead = strips_ahead(channels) * kStrip;
  Finite<S> seen;
  int64_t i = 0;
  for (; i + kStrip <= count; i += kStrip) {
    const float* plane = planes + i;
    F most[4];
    I which[4] = {};
    for (int k = 0; k < 4; ++k) {
      load(most[k], plane + kWidth * k);
      seen.note(k, most[k]);
    }
    for (int32_t c = 1; c < channels; ++c) {
      plane += stride;
      // More planes than the hardware follows as streams: say which lines will be wanted.
      __builtin_prefetch(plane + ahead);
      if (kStrip > 16) __builtin_prefetch(plane + ahead + 16);
      const I here = I{} + c;
      for (int k = 0; k < 4; ++k) {
        F value;
        load(value, plane + kWidth * k);
        const I larger = value > most[k];
        keep(most[k], larger, value);
        keep(which[k], larger, here);
        seen.note(k, value);
      }
    }
    int32_t found[kStrip];
    for (int k = 0; k < 4; ++k) {
      if (best) store(best + i + kWidth * k, most[k]);
      store(found + kWidth * k, which[k]);
    }
    for (int k = 0; k < kStrip; ++k) index[i + k] = static_cast<Index>(found[k]);
  }
  bool finite = seen.all();
  for (; i < count; ++i) {
    float most = planes[i];
    int32_t which = 0;
    for (int32_t c = 0; c < channels; ++c) {
      const float value = planes[c * stride + i];
      if (value > most) most = value, which = c;
      finite = finite && std::isfinite(value);
    }
    if (best) best[i] = most;
    index[i] = static_cast<Index>(which);
  }
  return finite;
}

template <class S>
MNNLITE_INLINE int32_t above_body(const float* values, int32_t count, float cut, int32_t* out) noexcept {
  using F = typename S::F;
  constexpr int32_t kWidth = S::kWidth, kStrip = 4 * kWidth;
  const F least = F{} + cut;
  int32_t found = 0, i = 0;
  for (; i + kStrip <= count; i += kStrip) {
    // Almost always none of them: one test for all.
    typename S::I hit = {};
    for (int k = 0; k < 4; ++k) {
      F value;
      load(value, values + i + kWidth * k);
      hit |= value > least;
    }
    if (!any<S>(hit)) continue;
    for (int32_t k = 0; k < kStrip; ++k)
      if (values[i + k] > cut) out[found++] = i + k;
  }
  for (; i < count; ++i)
    if (values[i] > cut) out[found++] = i;
  return found;
}

template <class S>
MNNLITE_INLINE RowMax row_max_body(const float* values, int32_t count, float cut) noexcept {
  using F = typename S::F;
  using I = typename S::I;
  constexpr int32_t kWidth = S::kWidth, kStep = 4 * kWidth;  // four running maxima: one alone would wait for itself
  if (count < kWidth) {
    RowMax best{values[0], 0, std::isfinite(values[0])};
    for (int32_t i = 1; i < count; ++i) {
      if (values[i] > best.value) best.value = values[i], best.index = i;
      best.finite = best.finite && std::isfinite(values[i]);
    }
    return best;
  }
  F best[4];
  Finite<S> seen;
  load(best[0], values);
  seen.note(0, best[0]);
  best[1] = best[2] = best[3] = best[0];
  int32_t i = kWidth;
  for (; i + kStep <= count; i += kStep)
    for (int k = 0; k < 4; ++k) {
      F value;
      load(value, values + i + kWidth * k);
      keep_larger(best[k], value);
      seen.note(k, value);
    }
  for (; i < count; i += kWidth) {  // the last ones may have been looked at already
    F value;
    load(value, values + (i + kWidth <= count ? i : count - kWidth));
    keep_larger(best[0], value);
    seen.note(0, value);
  }
  if (!seen.all()) return {0, 0, false};
  keep_larger(best[0], best[1]);
  keep_larger(best[2], best[3]);
  keep_larger(best[0], best[2]);
  const F least = F{} + cut;
  if (!any<S>(best[0] > least)) return {cut, -1, true};
  float elements[kWidth];
  store(elements, best[0]);
  float most = elements[0];
  for (int k = 1; k < kWidth; ++k) most = elements[k] > most ? elements[k] : most;
  const F wanted = F{} + most;
  for (i = 0; i + kStep <= count; i += kStep) {
    I hit = {};
    for (int k = 0; k < 4; ++k) {
      F value;
      load(value, values + i + kWidth * k);
      hit |= value == wanted;
    }
    if (any<S>(hit)) break;
  }
  while (!(values[i] == most)) ++i;
  return {most, i, true};
}

template <class S>
MNNLITE_INLINE bool all_finite_body(const float* values, int64_t count) noexcept {
  constexpr int32_t kWidth = S::kWidth, kStep = 4 * kWidth;
  Finite<S> seen;
  typename S::F value;
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep)
    for (int k = 0; k < 4; ++k) {
      load(value, values + i + kWidth * k);
      seen.note(k, value);
    }
  for (; i < count; i += kWidth) {  // the last ones may have been looked at already
    load(value, values + (i + kWidth <= count ? i : count - kWidth));
    seen.note(0, value);
  }
  return seen.all();
}

// `kVectors` registers of channels side by side, down all pixels: how high each channel goes and in which block of pixels it
// first does, which only then is searched.
template <class S, int kVectors>
MNNLITE_INLINE bool interleaved_maxima_part(const float* pixels, int32_t count, int32_t channels, float* best,
                                            int32_t* index) noexcept {
  using F = typename S::F;
  using I = typename S::I;
  constexpr int32_t kBlock = 16, kWidth = S::kWidth;
  F most[kVectors], value;
  I block[kVectors] = {};
  for (F& each : most) each = F{} - std::numeric_limits<float>::infinity();
  Finite<S> seen;
  const float* pixel = pixels;
  for (int32_t begin = 0; begin < count; begin += kBlock) {
    const int32_t end = begin + kBlock < count ? begin + kBlock : count;
    F here[kVectors];
    for (int k = 0; k < kVectors; ++k) {
      load(here[k], pixel + kWidth * k);
      seen.note(k, here[k]);
    }
    pixel += channels;
    for (int32_t i = begin + 1; i < end; ++i, pixel += channels)
      for (int k = 0; k < kVectors; ++k) {
        load(value, pixel + kWidth * k);
        keep_larger(here[k], value);
        seen.note(k, value);
      }
    for (int k = 0; k < kVectors; ++k) {
      const I higher = here[k] > most[k];
      keep(most[k], higher, here[k]);
      keep(block[k], higher, I{} + begin);
    }
  }
  if (!seen.all()) return false;
  for (int k = 0; k < kVectors; ++k) {
    store(best + kWidth * k, most[k]);
    store(index + kWidth * k, block[k]);
  }
  for (int32_t c = 0; c < kWidth * kVectors; ++c) {
    const float* found = pixels + int64_t{index[c]} * channels + c;
    for (; !(*found == best[c]); found += channels) ++index[c];
    best[c] = *found;  // of zeros the first, as it is
  }
  return true;
}

template <class S>
MNNLITE_INLINE bool interleaved_maxima_body(const float* pixels, int32_t count, int32_t channels, float* best,
                                            int32_t* index) noexcept {
  constexpr int32_t kWidth = S::kWidth, kStep = 4 * kWidth;
  bool finite = true;
  int32_t c = 0;
  if (channels < kWidth) {
    for (; c < channels; ++c) {
      best[c] = pixels[c];
      index[c] = 0;
      for (int32_t i = 0; i < count; ++i) {
        const float value = pixels[int64_t{i} * channels + c];
        if (value > best[c]) best[c] = value, index[c] = i;
        finite = finite && std::isfinite(value);
      }
    }
    return finite;
  }
  for (; c + kStep <= channels; c += kStep)
    finite = interleaved_maxima_part<S, 4>(pixels + c, count, channels, best + c, index + c) && finite;
  for (; c < channels; c += kWidth) {  // the last ones may have been looked at already
    const int32_t first = c + kWidth <= channels ? c : channels - kWidth;
    finite = interleaved_maxima_part<S, 1>(pixels + first, count, channels, best + first, index + first) && finite;
  }
  return finite;
}

// sigmoid_f32 of a register: the same operations in the same order.
template <class S>
MNNLITE_INLINE void sigmoid_of(typename S::F& x) noexcept {
  using F = typename S::F;
  using I = typename S::I;
  const F low = F{} + Exp::kLow, high = F{} + Exp::kHigh;
  x = -x;
  keep(x, x < low, low);
  keep(x, x > high, high);
  const F n = (x * Exp::kLog2e + Exp::kRound) - Exp::kRound;
  const F r = (x - n * Exp::kLn2High) - n * Exp::kLn2Low;
  constexpr const float (&term)[8] = Exp::kSeries;
  F p = F{} + term[0];
  p = p * r + term[1];
  p = p * r + term[2];
  p = p * r + term[3];
  p = p * r + term[4];
  p = p * r + term[5];
  p = p * r + term[6];
  p = p * r + term[7];
  const I bits = (I)p + (__builtin_convertvector(n, I) << 23);
  x = 1.0f / (1.0f + (F)bits);
}

template <class S>
MNNLITE_INLINE void sigmoids_body(const float* values, int32_t count, float* out) noexcept {
  constexpr int32_t kWidth = S::kWidth;
  typename S::F here;
  int32_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    load(here, values + i);
    sigmoid_of<S>(here);
    store(out + i, here);
  }
  for (; i < count; ++i) out[i] = sigmoid_f32(values[i]);
}

MNNLITE_INLINE bool any_overlap_body(const KeptBoxes& kept, int32_t count, const Candidate& c, float iou,
                                     bool agnostic) noexcept {
  const float x1 = c.box[0], y1 = c.box[1], x2 = c.box[2], y2 = c.box[3];
  const float area = (x2 - x1) * (y2 - y1);
  const int32_t class_id = c.class_id, any_class = agnostic ? 1 : 0;
  for (int32_t start = 0; start < count; start += KeptBoxes::kStep) {
    int32_t hit = 0;
    for (int32_t i = start; i < start + KeptBoxes::kStep; ++i) {
      const float width = (kept.x2[i] < x2 ? kept.x2[i] : x2) - (kept.x1[i] > x1 ? kept.x1[i] : x1);
      const float height = (kept.y2[i] < y2 ? kept.y2[i] : y2) - (kept.y1[i] > y1 ? kept.y1[i] : y1);
      const float shared = width * height;
      const float joined = kept.area[i] + area - shared;
      hit |= static_cast<int32_t>(width > 0) & static_cast<int32_t>(height > 0) &
             static_cast<int32_t>(shared > iou * joined) &
             (static_cast<int32_t>(kept.class_id[i] == class_id) | any_class);
    }
    if (hit) return true;
  }
  return false;
}

// sums[x] += weight * plane[x]: each pixel adds in the order of the prototypes, on every instruction set.
MNNLITE_INLINE void add_plane_body(float* sums, const float* plane, float weight, int32_t count) noexcept {
  for (int32_t x = 0; x < count; ++x) sums[x] += weight * plane[x];
}
MNNLITE_INLINE void add_planes_body(float* sums, const float* plane, int64_t step, const float* weights,
                                    int32_t channels, int32_t count) noexcept {
  for (int32_t c = 0; c < channels; ++c) add_plane_body(sums, plane + c * step, weights[c], count);
}

// Neighbours in a row that is enlarged lie between few of the row below: those are loaded once, and each picks its two.
template <class S>
MNNLITE_INLINE void mix_columns_body(const float* row, int32_t extent, const int32_t* first, const float* weight,
                                     int32_t count, float* out) noexcept {
  constexpr int32_t kWidth = S::kWidth;
  const auto plain = [=](int32_t x, int32_t end) noexcept {
    while (x < end) {
      const int32_t here = first[x];
      const float a = row[here], b = row[here + 1 < extent ? here + 1 : here];
      for (; x < end && first[x] == here; ++x) out[x] = a * (1.0f - weight[x]) + b * weight[x];
    }
  };
  if (!S::kPicks || extent <= kWidth) return plain(0, count);
  using F = typename S::F;
  using I = typename S::I;
  int32_t x = 0;
  for (; x + kWidth <= count; x += kWidth) {
    const int32_t left = first[x], right = first[x + kWidth - 1];
    int32_t base = left < right ? left : right;  // mirrored maps are read from the right
    base = base < extent - kWidth ? base : extent - kWidth - 1;
    I index;
    load(index, first + x);
    index -= I{} + base;
    if (any<S>((index < 0) | (index >= kWidth))) {
      plain(x, x + kWidth);
      continue;
    }
    F low, high, a, b, part;
    load(low, row + base);
    load(high, row + base + 1);
    pick(a, low, index);
    pick(b, high, index);
    load(part, weight + x);
    store(out + x, a * (1.0f - part) + b * part);
  }
  plain(x, count);
}

MNNLITE_INLINE void mix_rows_body(const float* __restrict above, const float* __restrict below, float weight,
                                  int32_t count, float* __restrict out) noexcept {
  const float other = 1.0f - weight;
  for (int32_t x = 0; x < count; ++x) out[x] = above[x] * other + below[x] * weight;
}

// The functions of a table over the registers `S`, and the table.
#define MNNLITE_DECODE_KERNELS(TARGET, S)                                                                            \
  TARGET bool argmax(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best,              \
                     int32_t* index) noexcept {                                                                      \
    return channel_argmax_body<S, int32_t>(planes, channels, stride, count, best, index);                            \
  }                                                                                                                  \
  TARGET bool argmax_bytes(const float* planes, int32_t channels, int64_t stride, int64_t count,                     \
                           uint8_t* out) noexcept {                                                                  \
    return channel_argmax_body<S, uint8_t>(planes, channels, stride, count, nullptr, out);                           \
  }                                                                                                                  \
  TARGET int32_t above_cut(const float* values, int32_t count, float cut, int32_t* out) noexcept {                   \
    return above_body<S>(values, count, cut, out);                                                                   \
  }                                                                                                                  \
  TARGET RowMax most_of(const float* values, int32_t count, float cut) noexcept {                                    \
    return row_max_body<S>(values, count, cut);                                                                      \
  }                                                                                                                  \
  TARGET bool finite_all(const float* values, int64_t count) noexcept { return all_finite_body<S>(values, count); }  \
  TARGET bool maxima(const float* pixels, int32_t count, int32_t channels, float* best, int32_t* index) noexcept {   \
    return interleaved_maxima_body<S>(pixels, count, channels, best, index);                                         \
  }                                                                                                                  \
  TARGET void sigmoids_of(const float* values, int32_t count, float* out) noexcept {                                 \
    sigmoids_body<S>(values, count, out);                                                                            \
  }                                                                                                                  \
  TARGET bool overlap_any(const KeptBoxes& kept, int32_t count, const Candidate& c, float iou,                       \
                          bool agnostic) noexcept {                                                                  \
    return any_overlap_body(kept, count, c, iou, agnostic);                                                          \
  }                                                                                                                  \
  TARGET void planes_sum(float* sums, const float* plane, int64_t step, const float* weights, int32_t channels,      \
                         int32_t count) noexcept {                                                                   \
    add_planes_body(sums, plane, step, weights, channels, count);                                                    \
  }                                                                                                                  \
  TARGET void columns_mixed(const float* row, int32_t extent, const int32_t* first, const float* weight,             \
                            int32_t count, float* out) noexcept {                                                    \
    mix_columns_body<S>(row, extent, first, weight, count, out);                                                     \
  }                                                                                                                  \
  TARGET void rows_mixed(const float* above, const float* below, float weight, int32_t count, float* out) noexcept { \
    mix_rows_body(above, below, weight, count, out);                                                                 \
  }                                                                                                                  \
  constexpr DecodeKernels kTable{argmax,      argmax_bytes, above_cut,  most_of,       finite_all, maxima,           \
                                 sigmoids_of, overlap_any,  planes_sum, columns_mixed, rows_mixed};

}  // namespace
}  // namespace mnnlite
