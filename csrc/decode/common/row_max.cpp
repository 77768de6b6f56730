#include "decode/common/row_max.hpp"

#include <cmath>

#include "decode/common/simd.hpp"

namespace mnnlite {
namespace {

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
  I bad[2] = {};
  load(best[0], values);
  note_finite(bad[0], best[0]);
  best[1] = best[2] = best[3] = best[0];
  int32_t i = kWidth;
  for (; i + kStep <= count; i += kStep)
    for (int k = 0; k < 4; ++k) {
      F value;
      load(value, values + i + kWidth * k);
      best[k] = value > best[k] ? value : best[k];
      note_finite(bad[k & 1], value);
    }
  for (; i < count; i += kWidth) {  // the last ones may have been looked at already
    F value;
    load(value, values + (i + kWidth <= count ? i : count - kWidth));
    best[0] = value > best[0] ? value : best[0];
    note_finite(bad[0], value);
  }
  if (any<S>(bad[0] | bad[1])) return {0, 0, false};
  best[0] = best[1] > best[0] ? best[1] : best[0];
  best[2] = best[3] > best[2] ? best[3] : best[2];
  best[0] = best[2] > best[0] ? best[2] : best[0];
  const F least = F{} + cut;
  if (!any<S>(best[0] > least)) return {cut, -1, true};
  float lanes[kWidth];
  store(lanes, best[0]);
  float most = lanes[0];
  for (int k = 1; k < kWidth; ++k) most = lanes[k] > most ? lanes[k] : most;
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

#if MNNLITE_DECODE_AVX2
MNNLITE_TARGET_AVX2 RowMax row_max_avx2(const float* values, int32_t count, float cut) noexcept { return row_max_body<Wide>(values, count, cut); }
#endif

}  // namespace

RowMax row_max(const float* values, int32_t count, float cut) noexcept {
#if MNNLITE_DECODE_AVX2
  if (wide_isa()) return row_max_avx2(values, count, cut);
#endif
  return row_max_body<Narrow>(values, count, cut);
}

}  // namespace mnnlite
