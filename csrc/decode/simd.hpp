// Eight floats at a time, in the compiler's vector extension: the same source becomes two registers of SSE2 or NEON, or
// one of AVX2. Only comparisons and selections, so every instruction set gives the same bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "decode/isa.hpp"

namespace mnnlite {

typedef float F8 __attribute__((vector_size(32)));
typedef int32_t I8 __attribute__((vector_size(32)));
typedef uint64_t U4 __attribute__((vector_size(32)));

// By reference: a vector returned by value would depend on the ABI of the instruction set.
MNNLITE_INLINE void load(F8& vector, const float* from) noexcept { std::memcpy(&vector, from, sizeof vector); }
template <class T, class V>
MNNLITE_INLINE void store(T* to, const V& vector) noexcept {
  std::memcpy(to, &vector, sizeof vector);
}
// Bits that are all 0 if and only if every value is finite.
MNNLITE_INLINE void note_finite(I8& bad, const F8& values) noexcept {
  const F8 zeros = values - values;  // NaN for what is not finite
  bad |= (I8)zeros;  // between vector types a cast keeps the bits
}
MNNLITE_INLINE bool any(const I8& bits) noexcept {
  const U4 words = (U4)bits;
  return (words[0] | words[1] | words[2] | words[3]) != 0;
}

}  // namespace mnnlite
