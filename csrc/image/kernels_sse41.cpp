// Kernels for SSE4.1: four outputs at a time, the same steps as kernels_avx2.cpp; its data sheet holds here with 128-bit
// registers: about 12 micro-operations an output more, and one output fills a register.
#include <immintrin.h>

#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("sse4.1")

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

inline __m128i load_4x32(const int32_t* p) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

// Two sums of a row pair, each < 2^19, to 15 bits and into the halves of one 32-bit lane.
inline __m128i join_rows(__m128i upper, __m128i lower) noexcept {
  return _mm_blend_epi16(_mm_srli_epi32(upper, 4), _mm_slli_epi32(lower, 12), 0xaa);
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

// PSHUFB mask that widens row `row` (0: bytes 0 to 7, 1: 8 to 15) to pairs of 16-bit numbers.
template <Kind kind, int row>
inline __m128i widen_mask() noexcept {
  alignas(16) char mask[16];
  for (int c = 0; c < 4; ++c) {
    char* at = mask + c * 4;
    at[0] = static_cast<char>(Lanes<kind>::first[c] < 0 ? -1 : Lanes<kind>::first[c] + row * 8);
    at[2] = static_cast<char>(Lanes<kind>::second[c] < 0 ? -1 : Lanes<kind>::second[c] + row * 8);
    at[1] = at[3] = -1;
  }
  return _mm_load_si128(reinterpret_cast<const __m128i*>(mask));
}

// Output k, components in 32-bit lanes.
template <int k>
inline __m128i sample_one(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m128i weights_x,
                          __m128i weights_y, __m128i widen0, __m128i widen1) noexcept {
  const ptrdiff_t at = offset[k];
  const __m128i both = _mm_castpd_si128(_mm_loadh_pd(_mm_load_sd(reinterpret_cast<const double*>(row0 + at)),
                                                     reinterpret_cast<const double*>(row1 + at)));
  const __m128i w = _mm_shuffle_epi32(weights_x, k * 0x55);
  const __m128i h0 = _mm_madd_epi16(_mm_shuffle_epi8(both, widen0), w);
  const __m128i h1 = _mm_madd_epi16(_mm_shuffle_epi8(both, widen1), w);
  return _mm_madd_epi16(join_rows(h0, h1), weights_y);
}

// Four outputs of a kind whose neighbours lie in 8 bytes; v[c] holds component c of all four.
template <Kind kind>
struct SampleWide {
  static constexpr int count = Lanes<kind>::count;
  static constexpr int load_bytes = 8;
  const __m128i widen0, widen1;

  // Written out: a constructor that the compiler makes would not belong to the target region.
  inline SampleWide() noexcept : widen0(widen_mask<kind, 0>()), widen1(widen_mask<kind, 1>()) {}

  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m128i weights_x,
                         __m128i weights_y, __m128i v[4]) const noexcept {
    const __m128i p0 = sample_one<0>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m128i p1 = sample_one<1>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m128i p2 = sample_one<2>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m128i p3 = sample_one<3>(row0, row1, offset, weights_x, weights_y, widen0, widen1);
    const __m128i c01_a = _mm_unpacklo_epi32(p0, p1), c01_b = _mm_unpacklo_epi32(p2, p3);
    v[0] = _mm_unpacklo_epi64(c01_a, c01_b);
    v[1] = _mm_unpackhi_epi64(c01_a, c01_b);
    if constexpr (count > 2) {
      const __m128i c23_a = _mm_unpackhi_epi32(p0, p1), c23_b = _mm_unpackhi_epi32(p2, p3);
      v[2] = _mm_unpacklo_epi64(c23_a, c23_b);
      if constexpr (count > 3) v[3] = _mm_unpackhi_epi64(c23_a, c23_b);
    }
  }
};

// Gray or luma: the neighbours are two bytes.
struct SampleGray {
  static constexpr int count = 1;
  static constexpr int load_bytes = 2;

  static inline __m128i gather(const uint8_t* row, const int32_t* offset) noexcept {
    __m128i pairs = _mm_cvtsi32_si128(load_u16(row + offset[0]));
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[1]), 1);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[2]), 2);
    pairs = _mm_insert_epi16(pairs, load_u16(row + offset[3]), 3);
    return _mm_cvtepu8_epi16(pairs);
  }
  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m128i weights_x,
                         __m128i weights_y, __m128i v[4]) const noexcept {
    const __m128i h0 = _mm_madd_epi16(gather(row0, offset), weights_x);
    const __m128i h1 = _mm_madd_epi16(gather(row1, offset), weights_x);
    v[0] = _mm_madd_epi16(join_rows(h0, h1), weights_y);
  }
};

// Four bytes of four places, in order.
inline __m128i gather_4x4_bytes(const uint8_t* row, const int32_t* offset) noexcept {
  __m128i bytes = _mm_cvtsi32_si128(load_i32(row + offset[0]));
  bytes = _mm_insert_epi32(bytes, load_i32(row + offset[1]), 1);
  bytes = _mm_insert_epi32(bytes, load_i32(row + offset[2]), 2);
  return _mm_insert_epi32(bytes, load_i32(row + offset[3]), 3);
}

// Luma of YUYV: the neighbours are bytes 0 and 2 of four.
struct SampleSpacedGray {
  static constexpr int count = 1;
  static constexpr int load_bytes = 4;
  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m128i weights_x,
                         __m128i weights_y, __m128i v[4]) const noexcept {
    const __m128i even = _mm_set1_epi16(0x00ff);
    const __m128i h0 = _mm_madd_epi16(_mm_and_si128(gather_4x4_bytes(row0, offset), even), weights_x);
    const __m128i h1 = _mm_madd_epi16(_mm_and_si128(gather_4x4_bytes(row1, offset), even), weights_x);
    v[0] = _mm_madd_epi16(join_rows(h0, h1), weights_y);
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2;
  static constexpr int load_bytes = 4;
  inline void operator()(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, __m128i weights_x,
                         __m128i weights_y, __m128i v[4]) const noexcept {
    const __m128i even = _mm_set1_epi16(0x00ff);
    const __m128i upper = gather_4x4_bytes(row0, offset), lower = gather_4x4_bytes(row1, offset);
    const __m128i first0 = _mm_madd_epi16(_mm_and_si128(upper, even), weights_x);
    const __m128i first1 = _mm_madd_epi16(_mm_and_si128(lower, even), weights_x);
    const __m128i second0 = _mm_madd_epi16(_mm_srli_epi16(upper, 8), weights_x);
    const __m128i second1 = _mm_madd_epi16(_mm_srli_epi16(lower, 8), weights_x);
    v[0] = _mm_madd_epi16(join_rows(first0, first1), weights_y);
    v[1] = _mm_madd_epi16(join_rows(second0, second1), weights_y);
  }
};

// Calls group(x) for groups of four outputs that cover [wide_begin, wide_end), the last moved back to end in time, and
// single(begin, end) for the columns that vector code must not touch.
template <typename GroupOfFour, typename Single>
inline void cover(const Taps& taps, GroupOfFour group, Single single) noexcept {
  const int32_t begin = taps.wide_begin, end = taps.wide_end;
  if (end - begin < 4) {
    single(0, taps.count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  for (; x + 4 <= end; x += 4) group(x);
  if (x < end) group(end - 4);
  single(end, taps.count);
}

template <typename Sample, typename T, int Spacing, int Step>
void sample_row(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps,
                int32_t* const v[4]) noexcept {
  const __m128i weights_y = _mm_set1_epi32((2048 - weight1) | weight1 << 16);
  const Sample sample;
  cover(
      taps,
      [&](int32_t x) {
        __m128i values[4];
        sample(row0, row1, taps.offset + x, load_4x32(taps.weights + x), weights_y, values);
        for (int c = 0; c < Sample::count; ++c)
          _mm_storeu_si128(reinterpret_cast<__m128i*>(v[c] + x), values[c]);
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns<T, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, v);
      });
}

template <typename Sample, typename T, int Spacing, int Step>
void sample_row_f32(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
                    const float bias[4], float* const out[4]) noexcept {
  const __m128i weights_y = _mm_set1_epi32((2048 - weight1) | weight1 << 16);
  const Sample sample;
  __m128 k[Sample::count], b[Sample::count];
  float* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) {
    k[c] = _mm_set1_ps(scale[c]);
    b[c] = _mm_set1_ps(bias[c]);
    to[c] = out[c];
  }
  cover(
      taps,
      [&](int32_t x) {
        __m128i values[4];
        sample(row0, row1, taps.offset + x, load_4x32(taps.weights + x), weights_y, values);
        for (int c = 0; c < Sample::count; ++c)
          _mm_storeu_ps(to[c] + x, _mm_add_ps(_mm_mul_ps(_mm_cvtepi32_ps(values[c]), k[c]), b[c]));
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns_f32<T, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, scale, bias,
                                                                    out);
      });
}

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kSse41Kernels = {
    Isa::sse41,
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
