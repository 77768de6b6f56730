// Kernels for AVX2 with F16C: eight outputs at a time.
//
// Data sheet. Sampling is a gather: per output and row, one load of the 8 (gray 2, chroma pairs 4) bytes that hold both
// neighbours. PSHUFB puts equal components of the neighbours side by side as 16-bit numbers, PMADDWD blends them with
// the weights (< 2^19), a shift leaves 15 bits, and a second PMADDWD blends the rows (< 2^26); see kernels_scalar.hpp for
// the bounds. Loads are broadcasts joined by blends because both leave the shuffle ports free, which are the bottleneck:
// PSHUFB and the final 4x4 transposes.
// Bound: about 75 micro-operations for 8 outputs of 3 channels with 2 shuffle ports, that is some 2 cycles an output.
// No FMA: one multiplication and one addition, so that the bits are the baseline's.
#include <immintrin.h>

#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx2,f16c")

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

inline int32_t load_i32(const uint8_t* p) noexcept {
  int32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline int32_t load_u16(const uint8_t* p) noexcept {
  uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

inline __m256i load_8x32(const int32_t* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

inline __m256i broadcast_8_bytes(const uint8_t* p) noexcept {
  int64_t value;
  std::memcpy(&value, p, sizeof value);
  return _mm256_set1_epi64x(value);
}

// Two sums of a row pair, each < 2^19, to 15 bits and into the halves of one 32-bit lane.
inline __m256i join_rows(__m256i upper, __m256i lower) noexcept {
  return _mm256_blend_epi16(_mm256_srli_epi32(upper, 4), _mm256_slli_epi32(lower, 12), 0xaa);
}

// Where the components lie in the 8 bytes of an output: first neighbour's and second neighbour's, -1 for none.
template <Kind kind>
struct Lanes;
template <>
struct Lanes<Kind::c3s3> {
  static constexpr int count = 3;
  static constexpr char first[4] = {0, 1, 2, -1}, second[4] = {3, 4, 5, -1};
};
template <>
struct Lanes<Kind::c3s4> {
  static constexpr int count = 3;
  static constexpr char first[4] = {0, 1, 2, -1}, second[4] = {4, 5, 6, -1};
};
template <>
struct Lanes<Kind::c4s4> {
  static constexpr int count = 4;
  static constexpr char first[4] = {0, 1, 2, 3}, second[4] = {4, 5, 6, 7};
};
template <>
struct Lanes<Kind::c2s4> {
  static constexpr int count = 2;
  static constexpr char first[4] = {0, 2, -1, -1}, second[4] = {4, 6, -1, -1};
};

// PSHUFB mask that widens row `row` (0: bytes 0 to 7 of a 128-bit lane, 1: 8 to 15) to pairs of 16-bit numbers.
template <Kind kind, int row>
inline __m256i widen_mask() noexcept {
  alignas(32) char mask[32];
  for (int lane = 0; lane < 2; ++lane)
    for (int c = 0; c < 4; ++c) {
      char* at = mask + lane * 16 + c * 4;
      at[0] = static_cast<char>(Lanes<kind>::first[c] < 0 ? -1 : Lanes<kind>::first[c] + row * 8);
      at[2] = static_cast<char>(Lanes<kind>::second[c] < 0 ? -1 : Lanes<kind>::second[c] + row * 8);
      at[1] = at[3] = -1;
    }
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(mask));
}

// Outputs k and k + 4, one in each 128-bit lane, components in 32-bit lanes.
template <int k>
inline __m256i sample_two(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m256i weights_x,
                          __m256i weights_y, __m256i widen0, __m256i widen1) noexcept {
  const ptrdiff_t a = offset[k], b = offset[k + 4];
  const __m256i upper = _mm256_blend_epi32(broadcast_8_bytes(row0 + a), broadcast_8_bytes(row0 + b), 0x30);
  const __m256i lower = _mm256_blend_epi32(broadcast_8_bytes(row1 + a), broadcast_8_bytes(row1 + b), 0xc0);
  const __m256i both = _mm256_blend_epi32(upper, lower, 0xcc);
  const __m256i w = _mm256_shuffle_epi32(weights_x, k * 0x55);
  const __m256i h0 = _mm256_madd_epi16(_mm256_shuffle_epi8(both, widen0), w);
  const __m256i h1 = _mm256_madd_epi16(_mm256_shuffle_epi8(both, widen1), w);
  return _mm256_madd_epi16(join_rows(h0, h1), weights_y);
}

// Eight outputs of a kind whose neighbours lie in 8 bytes; v[c] holds component c of all eight.
template <Kind kind>
struct SampleWide {
  static constexpr int count = Lanes<kind>::count;
  static constexpr int load_bytes = 8;
  const __m256i widen0, widen1;

  // Written out: a constructor that the compiler makes would not belong to the target region.
  inline SampleWide() noexcept : widen0(widen_mask<kind, 0>()), widen1(widen_mask<kind, 1>()) {}

  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m256i weights_x,
                         __m256i weights_y, __m256i v[4]) const noexcept {
    const __m256i p0 = sample_two<0>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m256i p1 = sample_two<1>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m256i p2 = sample_two<2>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m256i p3 = sample_two<3>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m256i c01_a = _mm256_unpacklo_epi32(p0, p1), c01_b = _mm256_unpacklo_epi32(p2, p3);
    v[0] = _mm256_unpacklo_epi64(c01_a, c01_b);
    v[1] = _mm256_unpackhi_epi64(c01_a, c01_b);
    if constexpr (count > 2) {
      const __m256i c23_a = _mm256_unpackhi_epi32(p0, p1), c23_b = _mm256_unpackhi_epi32(p2, p3);
      v[2] = _mm256_unpacklo_epi64(c23_a, c23_b);
      if constexpr (count > 3) v[3] = _mm256_unpackhi_epi64(c23_a, c23_b);
    }
  }
};

// Gray or luma: the neighbours are two bytes.
struct SampleGray {
  static constexpr int count = 1;
  static constexpr int load_bytes = 2;

  static inline __m256i gather(const uint8_t* row, const int32_t* offset) noexcept {
    __m128i pairs = _mm_cvtsi32_si128(load_u16(row + offset[0]));
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[1]), 1);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[2]), 2);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[3]), 3);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[4]), 4);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[5]), 5);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[6]), 6);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[7]), 7);
    return _mm256_cvtepu8_epi16(pairs);
  }
  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m256i weights_x,
                         __m256i weights_y, __m256i v[4]) const noexcept {
    const __m256i h0 = _mm256_madd_epi16(gather(row0, offset), weights_x);
    const __m256i h1 = _mm256_madd_epi16(gather(row1, offset), weights_x);
    v[0] = _mm256_madd_epi16(join_rows(h0, h1), weights_y);
  }
};

// Four bytes of eight places, in order.
inline __m256i gather_8x4_bytes(const uint8_t* row, const int32_t* offset) noexcept {
  __m128i low = _mm_cvtsi32_si128(load_i32(row + offset[0]));
  low = _mm_insert_epi32(low, load_i32(row + offset[1]), 1);
  low = _mm_insert_epi32(low, load_i32(row + offset[2]), 2);
  low = _mm_insert_epi32(low, load_i32(row + offset[3]), 3);
  __m128i high = _mm_cvtsi32_si128(load_i32(row + offset[4]));
  high = _mm_insert_epi32(high, load_i32(row + offset[5]), 1);
  high = _mm_insert_epi32(high, load_i32(row + offset[6]), 2);
  high = _mm_insert_epi32(high, load_i32(row + offset[7]), 3);
  return _mm256_set_m128i(high, low);
}

// Luma of YUYV: the neighbours are bytes 0 and 2 of four.
struct SampleSpacedGray {
  static constexpr int count = 1;
  static constexpr int load_bytes = 4;
  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m256i weights_x,
                         __m256i weights_y, __m256i v[4]) const noexcept {
    const __m256i even = _mm256_set1_epi16(0x00ff);
    const __m256i h0 = _mm256_madd_epi16(_mm256_and_si256(gather_8x4_bytes(row0, offset), even), weights_x);
    const __m256i h1 = _mm256_madd_epi16(_mm256_and_si256(gather_8x4_bytes(row1, offset), even), weights_x);
    v[0] = _mm256_madd_epi16(join_rows(h0, h1), weights_y);
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2;
  static constexpr int load_bytes = 4;
  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m256i weights_x,
                         __m256i weights_y, __m256i v[4]) const noexcept {
    const __m256i even = _mm256_set1_epi16(0x00ff);
    const __m256i upper = gather_8x4_bytes(row0, offset), lower = gather_8x4_bytes(row1, offset);
    const __m256i first0 = _mm256_madd_epi16(_mm256_and_si256(upper, even), weights_x);
    const __m256i first1 = _mm256_madd_epi16(_mm256_and_si256(lower, even), weights_x);
    const __m256i second0 = _mm256_madd_epi16(_mm256_srli_epi16(upper, 8), weights_x);
    const __m256i second1 = _mm256_madd_epi16(_mm256_srli_epi16(lower, 8), weights_x);
    v[0] = _mm256_madd_epi16(join_rows(first0, first1), weights_y);
    v[1] = _mm256_madd_epi16(join_rows(second0, second1), weights_y);
  }
};

// Calls group(x) for groups of eight outputs that cover [wide_begin, wide_end), the last moved back to end in time, and
// single(begin, end) for the columns that vector code must not touch.
template <typename GroupOfEight, typename Single>
inline void cover(const Taps& taps, GroupOfEight group, Single single) noexcept {
  const int32_t begin = taps.wide_begin, end = taps.wide_end;
  if (end - begin < 8) {
    single(0, taps.count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  for (; x + 8 <= end; x += 8) group(x);
  if (x < end) group(end - 8);
  single(end, taps.count);
}

template <typename Sample, typename T, int Spacing, int Step>
void sample_row(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps,
                int32_t* const v[4]) noexcept {
  const __m256i weights_y = _mm256_set1_epi32((2048 - weight1) | weight1 << 16);
  const Sample sample;
  cover(
      taps,
      [&](int32_t x) {
        __m256i values[4];
        sample(row0, row1, taps.offset + x, load_8x32(taps.weights + x), weights_y, values);
        for (int c = 0; c < Sample::count; ++c)
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(v[c] + x), values[c]);
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns<T, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, v);
      });
}

template <typename Sample, typename T, int Spacing, int Step>
void sample_row_f32(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
                    const float bias[4], float* const out[4]) noexcept {
  const __m256i weights_y = _mm256_set1_epi32((2048 - weight1) | weight1 << 16);
  const Sample sample;
  __m256 k[Sample::count], b[Sample::count];
  float* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) {
    k[c] = _mm256_set1_ps(scale[c]);
    b[c] = _mm256_set1_ps(bias[c]);
    to[c] = out[c];
  }
  cover(
      taps,
      [&](int32_t x) {
        __m256i values[4];
        sample(row0, row1, taps.offset + x, load_8x32(taps.weights + x), weights_y, values);
        for (int c = 0; c < Sample::count; ++c)
          _mm256_storeu_ps(to[c] + x, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(values[c]), k[c]), b[c]));
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns_f32<T, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, scale, bias,
                                                                    out);
      });
}

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  int32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 real = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(load_8x32(v + i)), _mm256_set1_ps(k)), _mm256_set1_ps(b));
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

const Kernels kAvx2Kernels = {
    Isa::avx2,
    {sample_row<SampleGray, uint8_t, 1, 1>, sample_row<SampleSpacedGray, uint8_t, 1, 2>,
     sample_row<SamplePairs, uint8_t, 1, 2>, sample_row<SampleWide<Kind::c2s4>, uint8_t, 2, 4>,
     sample_row<SampleWide<Kind::c3s3>, uint8_t, 1, 3>, sample_row<SampleWide<Kind::c3s4>, uint8_t, 1, 4>,
     sample_row<SampleWide<Kind::c4s4>, uint8_t, 1, 4>, scalar::sample_row<uint16_t, 1, 2, 2>,
     scalar::sample_row<uint16_t, 3, 2, 6>, scalar::sample_row<uint16_t, 3, 2, 8>,
     scalar::sample_row<uint16_t, 4, 2, 8>},
    {sample_row_f32<SampleGray, uint8_t, 1, 1>, nullptr, nullptr, nullptr,
     sample_row_f32<SampleWide<Kind::c3s3>, uint8_t, 1, 3>, sample_row_f32<SampleWide<Kind::c3s4>, uint8_t, 1, 4>,
     sample_row_f32<SampleWide<Kind::c4s4>, uint8_t, 1, 4>, nullptr, nullptr, nullptr, nullptr},
    {SampleGray::load_bytes, SampleSpacedGray::load_bytes, SamplePairs::load_bytes, 8, 8, 8, 8, 0, 0, 0, 0},
    {scalar::warp_row<uint8_t, 1, 1, 1>, scalar::warp_row<uint8_t, 1, 1, 2>, scalar::warp_row<uint8_t, 2, 1, 2>,
     scalar::warp_row<uint8_t, 2, 2, 4>, scalar::warp_row<uint8_t, 3, 1, 3>, scalar::warp_row<uint8_t, 3, 1, 4>,
     scalar::warp_row<uint8_t, 4, 1, 4>, scalar::warp_row<uint16_t, 1, 2, 2>, scalar::warp_row<uint16_t, 3, 2, 6>,
     scalar::warp_row<uint16_t, 3, 2, 8>, scalar::warp_row<uint16_t, 4, 2, 8>},
    {add_area_u8, add_area_u16},
    {narrow_area_u8, narrow_area_u16},
    reduce_area,
    yuv_to_rgb,
    yuv_to_gray,
    rgb_to_gray,
    {store_f32<false>, store_f16<false>, store_real<uint8_t, false>, store_real<int8_t, false>,
     store_exact<uint8_t, false>, store_exact<int8_t, false>},
    {store_f32<true>, store_f16<true>, store_real<uint8_t, true>, store_real<int8_t, true>, store_exact<uint8_t, true>,
     store_exact<int8_t, true>},
};

}  // namespace mnnlite::image

#pragma GCC pop_options

#endif  // __x86_64__
