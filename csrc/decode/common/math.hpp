// exp and what is made of it, as plain float operations in a fixed order: the same bits on every CPU and in the NumPy
// definition (mnnlite/reference/decode/math.py), which the C library's functions would not give.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace mnnlite {

// Range reduction x = n ln2 + r after Cody and Waite, ln2 in two parts so that n * high is exact; then the Taylor series, whose
// first dropped term is r^8 / 8! < 6e-9 for |r| <= ln2 / 2. Also of kernels.inl, which computes several at a time.
struct Exp {
  static constexpr float kLow = -87.0f, kHigh = 88.0f;
  static constexpr float kLog2e = 1.44269504f, kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  static constexpr float kSeries[] = {1.98412698e-4f, 1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f,
                                      1.66666667e-1f, 0.5f,           1.0f,           1.0f};
};

// Relative error below 2e-7 (checked in tests/cpp/test_decode_reader.cpp); clamps outside.
inline float exp_f32(float x) noexcept {
  x = std::min(std::max(x, float{Exp::kLow}), float{Exp::kHigh});  // as values: a reference would go through memory
  const float shifted = x * Exp::kLog2e + Exp::kRound;
  const float n = shifted - Exp::kRound;
  const float r = (x - n * Exp::kLn2High) - n * Exp::kLn2Low;
  constexpr const float (&term)[8] = Exp::kSeries;
  float p = term[0];
  p = p * r + term[1];
  p = p * r + term[2];
  p = p * r + term[3];
  p = p * r + term[4];
  p = p * r + term[5];
  p = p * r + term[6];
  p = p * r + term[7];
  uint32_t bits;
  std::memcpy(&bits, &p, 4);
  bits += static_cast<uint32_t>(static_cast<int32_t>(n)) << 23;
  std::memcpy(&p, &bits, 4);
  return p;
}

inline float sigmoid_f32(float x) noexcept { return 1.0f / (1.0f + exp_f32(-x)); }

inline float tanh_f32(float x) noexcept { return 1.0f - 2.0f / (exp_f32(2.0f * x) + 1.0f); }

// The logit whose sigmoid is `probability`: scores are compared with it, so that sigmoid is computed for survivors only.
inline float logit_of(float probability) noexcept {
  if (probability <= 0) return -std::numeric_limits<float>::infinity();
  if (probability >= 1) return std::numeric_limits<float>::infinity();
  return static_cast<float>(std::log(static_cast<double>(probability) / (1.0 - static_cast<double>(probability))));
}

}  // namespace mnnlite
