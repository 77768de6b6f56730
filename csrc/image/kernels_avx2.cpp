// Kernels for AVX2 with F16C: eight outputs at a time.
//
// Data sheet. What is computed is in kernels_x86.inl. Here: how samples get into registers where windows cannot be had. Per
// output and row one load of the 8 (gray 2, chroma pairs 4) bytes that hold both neighbours; loads are broadcasts joined by
// blends because both leave the shuffle ports free.
// Bound of a BGR gather: 47 vector operations for 8 outputs of 3 channels on 4 ports, 17 vector and 4 scalar loads on 2:
// some 1.5 cycles an output. Measured on Zen 4 in November 2026, from cache: 2.2; of loading and computing in one step 3.0.
// AVX-512 with the same steps, 16 outputs at a time: 2.8. It is not worth a table of its own.
// No FMA: one multiplication and one addition, so that the bits are the baseline's.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_components.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,f16c")

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

// The words that kernels_x86.inl is written in.
using Ints = __m256i;
using Reals = __m256;
constexpr int kGroupOutputs = 8;

MNNLITE_INLINE Ints load(const void* p) noexcept { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
MNNLITE_INLINE void store(int32_t* p, Ints v) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
MNNLITE_INLINE void store(float* p, Reals v) noexcept { _mm256_storeu_ps(p, v); }
MNNLITE_INLINE Ints each8(int v) noexcept { return _mm256_set1_epi8(static_cast<int8_t>(v)); }
MNNLITE_INLINE Ints each16(int v) noexcept { return _mm256_set1_epi16(static_cast<int16_t>(v)); }
MNNLITE_INLINE Ints each32(int32_t v) noexcept { return _mm256_set1_epi32(v); }
MNNLITE_INLINE Reals each(float v) noexcept { return _mm256_set1_ps(v); }
MNNLITE_INLINE Ints add8(Ints a, Ints b) noexcept { return _mm256_add_epi8(a, b); }
MNNLITE_INLINE Ints add16(Ints a, Ints b) noexcept { return _mm256_add_epi16(a, b); }
MNNLITE_INLINE Ints add32(Ints a, Ints b) noexcept { return _mm256_add_epi32(a, b); }
MNNLITE_INLINE Ints sub32(Ints a, Ints b) noexcept { return _mm256_sub_epi32(a, b); }
MNNLITE_INLINE Ints min32(Ints a, Ints b) noexcept { return _mm256_min_epi32(a, b); }
MNNLITE_INLINE Ints max32(Ints a, Ints b) noexcept { return _mm256_max_epi32(a, b); }
MNNLITE_INLINE Ints madd8(Ints unsigned_bytes, Ints b) noexcept { return _mm256_maddubs_epi16(unsigned_bytes, b); }
MNNLITE_INLINE Ints madd16(Ints a, Ints b) noexcept { return _mm256_madd_epi16(a, b); }
MNNLITE_INLINE Ints high_rounded16(Ints a, Ints b) noexcept { return _mm256_mulhrs_epi16(a, b); }
MNNLITE_INLINE Ints bytes_of(Ints a, Ints index) noexcept { return _mm256_shuffle_epi8(a, index); }
MNNLITE_INLINE Ints by_sign8(Ints a, Ints b, Ints sign) noexcept { return _mm256_blendv_epi8(a, b, sign); }
MNNLITE_INLINE Ints low64(Ints a, Ints b) noexcept { return _mm256_unpacklo_epi64(a, b); }
MNNLITE_INLINE Ints high64(Ints a, Ints b) noexcept { return _mm256_unpackhi_epi64(a, b); }
MNNLITE_INLINE Ints low32(Ints a, Ints b) noexcept { return _mm256_unpacklo_epi32(a, b); }
MNNLITE_INLINE Ints high32(Ints a, Ints b) noexcept { return _mm256_unpackhi_epi32(a, b); }
template <int n>
MNNLITE_INLINE Ints left32(Ints a) noexcept {
  return _mm256_slli_epi32(a, n);
}
template <int n>
MNNLITE_INLINE Ints right32(Ints a) noexcept {
  return _mm256_srli_epi32(a, n);
}
template <int mask>
MNNLITE_INLINE Ints join16(Ints a, Ints b) noexcept {
  return _mm256_blend_epi16(a, b, mask);
}
template <int order>
MNNLITE_INLINE Ints order32(Ints a) noexcept {
  return _mm256_shuffle_epi32(a, order);
}
MNNLITE_INLINE Reals reals(Ints v) noexcept { return _mm256_cvtepi32_ps(v); }
MNNLITE_INLINE Reals times(Reals a, Reals b) noexcept { return _mm256_mul_ps(a, b); }
MNNLITE_INLINE Reals plus(Reals a, Reals b) noexcept { return _mm256_add_ps(a, b); }

// of(0) in the first 128-bit block, of(1) in the second.
template <typename Of>
MNNLITE_INLINE Ints by_block(Of of) noexcept {
  return _mm256_set_m128i(of(1), of(0));
}

MNNLITE_INLINE __m256i broadcast_8_bytes(const uint8_t* p) noexcept {
  int64_t value;
  std::memcpy(&value, p, sizeof value);
  return _mm256_set1_epi64x(value);
}

// Of two pixels, one for each 128-bit block, 8 bytes of the upper row and 8 of the lower.
MNNLITE_INLINE Ints load_pixels(const uint8_t* row0, const uint8_t* row1, const uint64_t offset[8]) noexcept {
  const uint64_t a = offset[0], b = offset[4];
  const __m256i upper = _mm256_blend_epi32(broadcast_8_bytes(row0 + a), broadcast_8_bytes(row0 + b), 0x30);
  const __m256i lower = _mm256_blend_epi32(broadcast_8_bytes(row1 + a), broadcast_8_bytes(row1 + b), 0xc0);
  return _mm256_blend_epi32(upper, lower, 0xcc);
}

#include "image/kernels_x86.inl"

#include "image/kernels_rows.inl"

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 real =
        _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(load(v + i)), _mm256_set1_ps(k)), _mm256_set1_ps(b));
    const __m128i half = _mm256_cvtps_ph(real, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    if constexpr (Strided) {
      alignas(16) uint16_t each[8];
      _mm_store_si128(reinterpret_cast<__m128i*>(each), half);
      for (int j = 0; j < 8; ++j) to[(i + j) * step] = each[j];
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), half);
    }
  }
  for (; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kAvx2Kernels = vector_kernels(Isa::avx2);

}  // namespace mnnlite::image

#pragma GCC pop_options

#endif  // __x86_64__
