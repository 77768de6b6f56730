#include "decode/row_max.hpp"

#include <cstring>

#include "decode/isa.hpp"

namespace mnnlite {
namespace {

// Eight running maxima: one alone would wait for itself.
constexpr int32_t kLanes = 16;

MNNLITE_INLINE uint32_t difference_bits(float value) noexcept {
  const float zero = value - value;  // NaN for what is not finite
  uint32_t bits;
  std::memcpy(&bits, &zero, 4);
  return bits;
}

MNNLITE_INLINE RowMax row_max_body(const float* values, int32_t count) noexcept {
  float best[kLanes];
  uint32_t bad[kLanes] = {};
  for (int32_t k = 0; k < kLanes; ++k) best[k] = values[0];
  int32_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int32_t k = 0; k < kLanes; ++k) {
      const float value = values[i + k];
      best[k] = value > best[k] ? value : best[k];
      bad[k] |= difference_bits(value);
    }
  for (; i < count; ++i) {
    best[0] = values[i] > best[0] ? values[i] : best[0];
    bad[0] |= difference_bits(values[i]);
  }
  float most = best[0];
  uint32_t any = bad[0];
  for (int32_t k = 1; k < kLanes; ++k) {
    most = best[k] > most ? best[k] : most;
    any |= bad[k];
  }
  if (any != 0) return {0, 0, false};
  int32_t index = 0;
  while (!(values[index] == most)) ++index;
  return {most, index, true};
}

#if MNNLITE_DECODE_AVX2
MNNLITE_TARGET_AVX2 RowMax row_max_avx2(const float* values, int32_t count) noexcept { return row_max_body(values, count); }
#endif

}  // namespace

RowMax row_max(const float* values, int32_t count) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return row_max_avx2(values, count);
#endif
  return row_max_body(values, count);
}

}  // namespace mnnlite
