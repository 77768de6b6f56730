#include "decode/argmax.hpp"

#include <algorithm>
#include <cstring>

#include "decode/isa.hpp"

namespace mnnlite {
namespace {

// Blocks small enough that best and index stay in the first-level cache while the planes stream past.
constexpr int64_t kBlock = 1024;

MNNLITE_INLINE uint32_t exponent_is_full(float value) noexcept {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return (bits & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
}

MNNLITE_INLINE bool argmax_body(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept {
  alignas(64) float best[kBlock];
  alignas(64) int32_t index[kBlock];
  uint32_t bad = 0;
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t n = std::min(kBlock, count - start);
    const float* plane = planes + start;
    for (int64_t i = 0; i < n; ++i) {
      best[i] = plane[i];
      index[i] = 0;
      bad |= exponent_is_full(plane[i]);
    }
    for (int32_t c = 1; c < channels; ++c) {
      plane += stride;
      for (int64_t i = 0; i < n; ++i) {
        const float value = plane[i];
        const bool larger = value > best[i];
        index[i] = larger ? c : index[i];
        best[i] = larger ? value : best[i];
        bad |= exponent_is_full(value);
      }
    }
    for (int64_t i = 0; i < n; ++i) out[start + i] = static_cast<uint8_t>(index[i]);
  }
  return bad == 0;
}

#if MNNLITE_DECODE_AVX2
MNNLITE_TARGET_AVX2 bool argmax_avx2(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept {
  return argmax_body(planes, channels, stride, count, out);
}
#endif

}  // namespace

bool argmax_planes(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return argmax_avx2(planes, channels, stride, count, out);
#endif
  return argmax_body(planes, channels, stride, count, out);
}

}  // namespace mnnlite
