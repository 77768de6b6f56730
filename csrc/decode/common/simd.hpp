// As many floats at a time as a register holds, in the compiler's vector extension: bodies are templates over Narrow
// (SSE2, NEON) or Wide (AVX2). Only what is exact or rounded once (comparisons, selections, a product, a sum), so every
// instruction set gives the same bits. Wider vectors than the registers would compile too, but into scalar selections.
#pragma once

#include <cstdint>
#include <cstring>

#include "decode/common/isa.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mnnlite {

// Whether a register's values can be picked by a register of indices: SSE2 cannot, and would go through memory.
#if defined(__GNUC__) && !defined(__clang__)
#define MNNLITE_DECODE_PICKS 1
#else
#define MNNLITE_DECODE_PICKS 0
#endif

struct Narrow {
  static constexpr int kWidth = 4;
#if defined(__aarch64__)
  static constexpr bool kPicks = MNNLITE_DECODE_PICKS;
#else
  static constexpr bool kPicks = false;
#endif
  typedef float F __attribute__((vector_size(16)));
  typedef int32_t I __attribute__((vector_size(16)));
  typedef uint64_t U __attribute__((vector_size(16)));
  static MNNLITE_INLINE uint64_t fold(const U& words) noexcept { return words[0] | words[1]; }
};

#if MNNLITE_DECODE_AVX2
struct Wide {
  static constexpr int kWidth = 8;
  static constexpr bool kPicks = MNNLITE_DECODE_PICKS;
  typedef float F __attribute__((vector_size(32)));
  typedef int32_t I __attribute__((vector_size(32)));
  typedef uint64_t U __attribute__((vector_size(32)));
  static MNNLITE_INLINE uint64_t fold(const U& words) noexcept { return words[0] | words[1] | words[2] | words[3]; }
};
#endif

// By reference: a vector returned by value would depend on the ABI of the instruction set.
template <class T, class V>
MNNLITE_INLINE void load(V& vector, const T* from) noexcept {
  std::memcpy(&vector, from, sizeof vector);
}
template <class T, class V>
MNNLITE_INLINE void store(T* to, const V& vector) noexcept {
  std::memcpy(to, &vector, sizeof vector);
}
// values[k] = from[index[k]]; indices are below the width.
template <class F, class I>
MNNLITE_INLINE void pick(F& values, const F& from, const I& index) noexcept {
#if MNNLITE_DECODE_PICKS
  values = __builtin_shuffle(from, index);
#else
  for (size_t k = 0; k < sizeof(F) / sizeof(float); ++k) values[k] = from[index[k]];
#endif
}
template <class S>
MNNLITE_INLINE bool any(const typename S::I& bits) noexcept {
  return S::fold((typename S::U)bits) != 0;
}

// kept[k] = where[k] ? values[k] : kept[k], for all bits or none of where[k]. On NEON not as a condition, which GCC would turn
// round and then guard against NaN: eight instructions more.
template <class I, class V>
MNNLITE_INLINE void keep(V& kept, const I& where, const V& values) noexcept {
#if defined(__aarch64__)
  kept = (V)vbslq_u32((uint32x4_t)where, (uint32x4_t)values, (uint32x4_t)kept);
#else
  kept = where ? values : kept;
#endif
}

// kept[k] = the larger of values[k] and kept[k]; which zero of two is left open, and what comes of NaN.
template <class F>
MNNLITE_INLINE void keep_larger(F& kept, const F& values) noexcept {
#if defined(__aarch64__)
  kept = (F)vmaxq_f32((float32x4_t)kept, (float32x4_t)values);
#else
  kept = values > kept ? values : kept;
#endif
}

// Whether all values that were noted are finite. NEON sums zero times each, in one instruction, in four sums side by side;
// the others gather the bits of each less itself. Of what is not finite both are NaN, otherwise zeros.
template <class S>
class Finite {
 public:
  MNNLITE_INLINE void note(int k, const typename S::F& values) noexcept {
#if defined(__aarch64__)
    sums_[k & 3] = vfmaq_f32(sums_[k & 3], (float32x4_t)values, vdupq_n_f32(0));
#else
    bits_[k & 1] |= (typename S::I)(values - values);  // between vector types a cast keeps the bits
#endif
  }
  MNNLITE_INLINE bool all() const noexcept {
#if defined(__aarch64__)
    const float32x4_t sum = vaddq_f32(vaddq_f32(sums_[0], sums_[1]), vaddq_f32(sums_[2], sums_[3]));
    return !any<S>((typename S::I)(sum != sum));
#else
    return !any<S>(bits_[0] | bits_[1]);
#endif
  }

 private:
#if defined(__aarch64__)
  float32x4_t sums_[4] = {};
#else
  typename S::I bits_[2] = {};
#endif
};

}  // namespace mnnlite
