// Kernels for SSE4.1: four outputs at a time. What is computed is in kernels_x86.inl.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_components.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("sse4.1")

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

// The words that kernels_x86.inl is written in.
using Ints = __m128i;
using Reals = __m128;
constexpr int kGroupOutputs = 4;

MNNLITE_INLINE Ints load(const void* p) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
MNNLITE_INLINE void store(int32_t* p, Ints v) noexcept { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
MNNLITE_INLINE void store(float* p, Reals v) noexcept { _mm_storeu_ps(p, v); }
MNNLITE_INLINE Ints each8(int v) noexcept { return _mm_set1_epi8(static_cast<int8_t>(v)); }
MNNLITE_INLINE Ints each16(int v) noexcept { return _mm_set1_epi16(static_cast<int16_t>(v)); }
MNNLITE_INLINE Ints each32(int32_t v) noexcept { return _mm_set1_epi32(v); }
MNNLITE_INLINE Reals each(float v) noexcept { return _mm_set1_ps(v); }
MNNLITE_INLINE Ints add8(Ints a, Ints b) noexcept { return _mm_add_epi8(a, b); }
MNNLITE_INLINE Ints add16(Ints a, Ints b) noexcept { return _mm_add_epi16(a, b); }
MNNLITE_INLINE Ints add32(Ints a, Ints b) noexcept { return _mm_add_epi32(a, b); }
MNNLITE_INLINE Ints sub32(Ints a, Ints b) noexcept { return _mm_sub_epi32(a, b); }
MNNLITE_INLINE Ints min32(Ints a, Ints b) noexcept { return _mm_min_epi32(a, b); }
MNNLITE_INLINE Ints max32(Ints a, Ints b) noexcept { return _mm_max_epi32(a, b); }
MNNLITE_INLINE Ints madd8(Ints unsigned_bytes, Ints b) noexcept { return _mm_maddubs_epi16(unsigned_bytes, b); }
MNNLITE_INLINE Ints madd16(Ints a, Ints b) noexcept { return _mm_madd_epi16(a, b); }
MNNLITE_INLINE Ints high_rounded16(Ints a, Ints b) noexcept { return _mm_mulhrs_epi16(a, b); }
MNNLITE_INLINE Ints bytes_of(Ints a, Ints index) noexcept { return _mm_shuffle_epi8(a, index); }
MNNLITE_INLINE Ints by_sign8(Ints a, Ints b, Ints sign) noexcept { return _mm_blendv_epi8(a, b, sign); }
MNNLITE_INLINE Ints low64(Ints a, Ints b) noexcept { return _mm_unpacklo_epi64(a, b); }
MNNLITE_INLINE Ints high64(Ints a, Ints b) noexcept { return _mm_unpackhi_epi64(a, b); }
MNNLITE_INLINE Ints low32(Ints a, Ints b) noexcept { return _mm_unpacklo_epi32(a, b); }
MNNLITE_INLINE Ints high32(Ints a, Ints b) noexcept { return _mm_unpackhi_epi32(a, b); }
template <int n>
MNNLITE_INLINE Ints left32(Ints a) noexcept {
  return _mm_slli_epi32(a, n);
}
template <int n>
MNNLITE_INLINE Ints right32(Ints a) noexcept {
  return _mm_srli_epi32(a, n);
}
template <int mask>
MNNLITE_INLINE Ints join16(Ints a, Ints b) noexcept {
  return _mm_blend_epi16(a, b, mask);
}
template <int order>
MNNLITE_INLINE Ints order32(Ints a) noexcept {
  return _mm_shuffle_epi32(a, order);
}
MNNLITE_INLINE Reals reals(Ints v) noexcept { return _mm_cvtepi32_ps(v); }
MNNLITE_INLINE Reals times(Reals a, Reals b) noexcept { return _mm_mul_ps(a, b); }
MNNLITE_INLINE Reals plus(Reals a, Reals b) noexcept { return _mm_add_ps(a, b); }

// There is one 128-bit block.
template <typename Of>
MNNLITE_INLINE Ints by_block(Of of) noexcept {
  return of(0);
}

MNNLITE_INLINE __m128i load_8_bytes(const uint8_t* p) noexcept {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}

// Of one pixel 8 bytes of the upper row and 8 of the lower.
MNNLITE_INLINE Ints load_pixels(const uint8_t* row0, const uint8_t* row1, const uint64_t offset[4]) noexcept {
  return _mm_unpacklo_epi64(load_8_bytes(row0 + offset[0]), load_8_bytes(row1 + offset[0]));
}

#include "image/kernels_x86.inl"

#include "image/kernels_rows.inl"

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kSse41Kernels = vector_kernels(Isa::sse41);

}  // namespace mnnlite::image

#pragma GCC pop_options

#endif  // __x86_64__
