#include "decode/plane_max.hpp"

#include <cstring>

#include "decode/isa.hpp"

namespace mnnlite {
namespace {

MNNLITE_INLINE uint32_t difference_bits(float value) noexcept {
  const float zero = value - value;  // NaN for what is not finite
  uint32_t bits;
  std::memcpy(&bits, &zero, 4);
  return bits;
}

// Strips that fit the vector registers run through all planes, so that each value is read once and nothing is stored
// in between.
constexpr int32_t kStrip = 64;

MNNLITE_INLINE bool plane_max_body(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best) noexcept {
  uint32_t bad[kStrip] = {};
  int32_t i = 0;
  for (; i + kStrip <= count; i += kStrip) {
    float most[kStrip];
    const float* plane = planes + i;
    for (int32_t k = 0; k < kStrip; ++k) {
      most[k] = plane[k];
      bad[k] |= difference_bits(plane[k]);
    }
    for (int32_t c = 1; c < channels; ++c) {
      plane += stride;
      for (int32_t k = 0; k < kStrip; ++k) {
        most[k] = plane[k] > most[k] ? plane[k] : most[k];
        bad[k] |= difference_bits(plane[k]);
      }
    }
    std::memcpy(best + i, most, sizeof most);
  }
  for (; i < count; ++i) {
    float most = planes[i];
    for (int32_t c = 0; c < channels; ++c) {
      const float value = planes[c * stride + i];
      most = value > most ? value : most;
      bad[0] |= difference_bits(value);
    }
    best[i] = most;
  }
  uint32_t any = 0;
  for (uint32_t bits : bad) any |= bits;
  return any == 0;
}

MNNLITE_INLINE int32_t above_body(const float* values, int32_t count, float cut, int32_t* out) noexcept {
  int32_t found = 0, i = 0;
  for (; i + 16 <= count; i += 16) {
    // Almost always none of them: one test for sixteen.
    int32_t any = 0;
    for (int32_t k = 0; k < 16; ++k) any |= static_cast<int32_t>(values[i + k] > cut);
    if (!any) continue;
    for (int32_t k = 0; k < 16; ++k)
      if (values[i + k] > cut) out[found++] = i + k;
  }
  for (; i < count; ++i)
    if (values[i] > cut) out[found++] = i;
  return found;
}

#if MNNLITE_DECODE_AVX2
MNNLITE_TARGET_AVX2 bool plane_max_avx2(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best) noexcept {
  return plane_max_body(planes, channels, stride, count, best);
}
MNNLITE_TARGET_AVX2 int32_t above_avx2(const float* values, int32_t count, float cut, int32_t* out) noexcept {
  return above_body(values, count, cut, out);
}
#endif

}  // namespace

bool plane_max(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return plane_max_avx2(planes, channels, stride, count, best);
#endif
  return plane_max_body(planes, channels, stride, count, best);
}

int32_t above(const float* values, int32_t count, float cut, int32_t* out) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return above_avx2(values, count, cut, out);
#endif
  return above_body(values, count, cut, out);
}

}  // namespace mnnlite
