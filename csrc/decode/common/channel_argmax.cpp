#include "decode/common/channel_argmax.hpp"

#include <cmath>

#include "decode/common/simd.hpp"

namespace mnnlite {
namespace {

// How far ahead lines are asked for, in strips. What is asked for must stay in the first-level cache: 8 strips of 19
// planes do, 1 of 80 does (each measured best of 0 to 16).
constexpr int32_t strips_ahead(int32_t channels) noexcept { return channels <= 32 ? 8 : 1; }

// `Index` is int32_t or uint8_t.
template <class S, class Index>
MNNLITE_INLINE bool channel_argmax_body(const float* planes, int32_t channels, int64_t stride, int64_t count, float* best, Index* index) noexcept {
  using F = typename S::F;
  using I = typename S::I;
  constexpr int32_t kWidth = S::kWidth, kStrip = 4 * kWidth;  // pixels that go through all planes in registers
  const int32_t ahead = strips_ahead(channels) * kStrip;
  I bad[2] = {};
  int64_t i = 0;
  for (; i + kStrip <= count; i += kStrip) {
    const float* plane = planes + i;
    F most[4];
    I which[4] = {};
    for (int k = 0; k < 4; ++k) {
      load(most[k], plane + kWidth * k);
      note_finite(bad[k & 1], most[k]);
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
        most[k] = larger ? value : most[k];
        which[k] = larger ? here : which[k];
        note_finite(bad[k & 1], value);
      }
    }
    int32_t found[kStrip];
    for (int k = 0; k < 4; ++k) {
      if (best) store(best + i + kWidth * k, most[k]);
      store(found + kWidth * k, which[k]);
    }
    for (int k = 0; k < kStrip; ++k) index[i + k] = static_cast<Index>(found[k]);
  }
  bool finite = !any<S>(bad[0] | bad[1]);
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

#if MNNLITE_DECODE_AVX2
MNNLITE_TARGET_AVX2 bool channel_argmax_avx2(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best, int32_t* index) noexcept {
  return channel_argmax_body<Wide, int32_t>(planes, channels, stride, count, best, index);
}
MNNLITE_TARGET_AVX2 bool channel_argmax_bytes_avx2(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept {
  return channel_argmax_body<Wide, uint8_t>(planes, channels, stride, count, nullptr, out);
}
MNNLITE_TARGET_AVX2 int32_t above_avx2(const float* values, int32_t count, float cut, int32_t* out) noexcept {
  return above_body<Wide>(values, count, cut, out);
}
#endif

}  // namespace

bool channel_argmax(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best, int32_t* index) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return channel_argmax_avx2(planes, channels, stride, count, best, index);
#endif
  return channel_argmax_body<Narrow, int32_t>(planes, channels, stride, count, best, index);
}

bool channel_argmax_bytes(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return channel_argmax_bytes_avx2(planes, channels, stride, count, out);
#endif
  return channel_argmax_body<Narrow, uint8_t>(planes, channels, stride, count, nullptr, out);
}

int32_t above(const float* values, int32_t count, float cut, int32_t* out) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return above_avx2(values, count, cut, out);
#endif
  return above_body<Narrow>(values, count, cut, out);
}

}  // namespace mnnlite
