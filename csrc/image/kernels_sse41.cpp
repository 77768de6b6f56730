// Kernels for SSE4.1: four outputs at a time, the same steps and bounds as kernels_avx2.cpp, whose data sheet holds here.
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

// What blends rows: interleaved bytes (upper, lower) give S = 64 (upper + lower) and D = 64 (lower - upper); with
// w' = 32 (w - 1024) in 16 signed bits S + ((D w' + 2^14) >> 15) is (upper (2048 - w) + lower w + 8) >> 4, exactly.
struct Rows {
  const __m128i sum, difference, weight;
  explicit inline Rows(int32_t weight1) noexcept
      : sum(_mm_set1_epi8(64)), difference(_mm_set1_epi16(0x40c0)), weight(_mm_set1_epi16(static_cast<int16_t>((weight1 - 1024) * 32))) {}
  inline __m128i blend(__m128i pairs) const noexcept {
    const __m128i part = _mm_mulhrs_epi16(_mm_maddubs_epi16(pairs, difference), weight);
    return _mm_add_epi16(_mm_maddubs_epi16(pairs, sum), part);
  }
};

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

// PSHUFB mask for 8 bytes of the upper and 8 of the lower row: a 32-bit lane for each component with its upper and lower
// first neighbour and its upper and lower second neighbour.
template <Kind kind>
inline __m128i quad_mask() noexcept {
  alignas(16) char mask[16];
  for (int at = 0; at < 16; ++at) {
    const char from = at % 4 < 2 ? Lanes<kind>::first[at / 4] : Lanes<kind>::second[at / 4];
    mask[at] = static_cast<char>(from < 0 ? -1 : from + at % 2 * 8);
  }
  return _mm_load_si128(reinterpret_cast<const __m128i*>(mask));
}

// What lies around an output, components in 32-bit lanes.
inline __m128i load_one(const uint8_t* row0, const uint8_t* row1, ptrdiff_t at, __m128i quads) noexcept {
  const __m128d upper = _mm_load_sd(reinterpret_cast<const double*>(row0 + at));
  return _mm_shuffle_epi8(_mm_castpd_si128(_mm_loadh_pd(upper, reinterpret_cast<const double*>(row1 + at))), quads);
}

// Four outputs, as a Sample finds them: a register for each component, in every 32-bit lane the upper and lower first
// neighbour and the upper and lower second neighbour. `load` does the loads and shuffles, what follows is the same for all.
template <int Count>
struct Quads {
  __m128i component[Count];
};

// Neighbours in 8 bytes.
template <Kind kind>
struct SampleWide {
  static constexpr int count = Lanes<kind>::count;
  static constexpr int load_bytes = 8;
  const __m128i quads;

  // Written out: a constructor that the compiler makes would not belong to the target region.
  inline SampleWide() noexcept : quads(quad_mask<kind>()) {}

  inline void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<count>& out) const noexcept {
    const __m128i p0 = load_one(row0, row1, offset[0], quads), p1 = load_one(row0, row1, offset[1], quads);
    const __m128i p2 = load_one(row0, row1, offset[2], quads), p3 = load_one(row0, row1, offset[3], quads);
    const __m128i c01_a = _mm_unpacklo_epi32(p0, p1), c01_b = _mm_unpacklo_epi32(p2, p3);
    out.component[0] = _mm_unpacklo_epi64(c01_a, c01_b);
    out.component[1] = _mm_unpackhi_epi64(c01_a, c01_b);
    if constexpr (count > 2) {
      const __m128i c23_a = _mm_unpackhi_epi32(p0, p1), c23_b = _mm_unpackhi_epi32(p2, p3);
      out.component[2] = _mm_unpacklo_epi64(c23_a, c23_b);
      if constexpr (count > 3) out.component[3] = _mm_unpackhi_epi64(c23_a, c23_b);
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
    return _mm_insert_epi16(pairs, load_u16(row + offset[3]), 3);
  }
  inline void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<1>& out) const noexcept {
    out.component[0] = _mm_unpacklo_epi8(gather(row0, offset), gather(row1, offset));
  }
};

// Four bytes of four places, in order.
inline __m128i gather_4x4_bytes(const uint8_t* row, const int32_t* offset) noexcept {
  __m128i bytes = _mm_cvtsi32_si128(load_i32(row + offset[0]));
  bytes = _mm_insert_epi32(bytes, load_i32(row + offset[1]), 1);
  bytes = _mm_insert_epi32(bytes, load_i32(row + offset[2]), 2);
  return _mm_insert_epi32(bytes, load_i32(row + offset[3]), 3);
}

// Neighbours in 4 bytes: interleaved chroma (two components), or the luma of YUYV (one, in bytes 0 and 2).
template <int Count>
struct SampleFourBytes {
  static constexpr int count = Count;
  static constexpr int load_bytes = 4;

  inline void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<Count>& out) const noexcept {
    const __m128i quads = _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    const __m128i upper = gather_4x4_bytes(row0, offset), lower = gather_4x4_bytes(row1, offset);
    const __m128 front = _mm_castsi128_ps(_mm_shuffle_epi8(_mm_unpacklo_epi8(upper, lower), quads));
    const __m128 back = _mm_castsi128_ps(_mm_shuffle_epi8(_mm_unpackhi_epi8(upper, lower), quads));
    out.component[0] = _mm_castps_si128(_mm_shuffle_ps(front, back, 0x88));
    if constexpr (Count > 1) out.component[1] = _mm_castps_si128(_mm_shuffle_ps(front, back, 0xdd));
  }
};

// Runs over [wide_begin, wide_end) in groups of four, the last one moved back to end in time: `sample` loads, use(x, quads)
// gets what it loaded; single(begin, end) does the columns that vector code must not touch.
// A group is loaded while the one before is computed; see kernels_avx2.cpp.
template <typename Sample, typename Use, typename Single>
inline void cover(const uint8_t* row0, const uint8_t* row1, const Taps& taps, Use use, Single single) noexcept {
  const Sample sample;
  const int32_t begin = taps.wide_begin, end = taps.wide_end;
  const int32_t* const offset = taps.offset;
  if (end - begin < 4) {
    single(0, taps.count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  Quads<Sample::count> current;
  sample.load(row0, row1, offset + x, current);
  for (; x + 8 <= end; x += 4) {
    Quads<Sample::count> next;
    sample.load(row0, row1, offset + x + 4, next);
    use(x, current);
    current = next;
  }
  use(x, current);
  if (x + 4 < end) {
    sample.load(row0, row1, offset + end - 4, current);
    use(end - 4, current);
  }
  single(end, taps.count);
}

template <typename Sample, int Spacing, int Step>
void sample_row(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps,
                int32_t* const v[4]) noexcept {
  const Rows rows(weight1);
  int32_t* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) to[c] = v[c];
  const int32_t* const weights = taps.weights;
  cover<Sample>(
      row0, row1, taps,
      [&](int32_t x, const Quads<Sample::count>& quads) {
        const __m128i weights_x = load_4x32(weights + x);
        for (int c = 0; c < Sample::count; ++c)
          _mm_storeu_si128(reinterpret_cast<__m128i*>(to[c] + x),
                              _mm_madd_epi16(rows.blend(quads.component[c]), weights_x));
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns<uint8_t, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, v);
      });
}

// Without `Biased` every bias is 0 and no scale is negative: adding could change nothing.
template <typename Sample, int Spacing, int Step, bool Biased>
inline void sample_floats(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
                    const float bias[4], float* const out[4]) noexcept {
  const Rows rows(weight1);
  __m128 k[Sample::count], b[Sample::count];
  float* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) {
    k[c] = _mm_set1_ps(scale[c]);
    b[c] = _mm_set1_ps(bias[c]);
    to[c] = out[c];
  }
  const int32_t* const weights = taps.weights;
  cover<Sample>(
      row0, row1, taps,
      [&](int32_t x, const Quads<Sample::count>& quads) {
        const __m128i weights_x = load_4x32(weights + x);
        for (int c = 0; c < Sample::count; ++c) {
          const __m128i v = _mm_madd_epi16(rows.blend(quads.component[c]), weights_x);
          const __m128 scaled = _mm_mul_ps(_mm_cvtepi32_ps(v), k[c]);
          _mm_storeu_ps(to[c] + x, Biased ? _mm_add_ps(scaled, b[c]) : scaled);
        }
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns_f32<uint8_t, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, scale,
                                                                          bias, out);
      });
}

template <typename Sample, int Spacing, int Step>
void sample_row_f32(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
                    const float bias[4], float* const out[4]) noexcept {
  bool biased = false;
  for (int c = 0; c < Sample::count; ++c) biased = biased || bias[c] != 0 || scale[c] < 0;
  if (biased)
    sample_floats<Sample, Spacing, Step, true>(row0, row1, weight1, taps, scale, bias, out);
  else
    sample_floats<Sample, Spacing, Step, false>(row0, row1, weight1, taps, scale, bias, out);
}

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kSse41Kernels = {
    Isa::sse41,
    {sample_row<SampleGray, 1, 1>, sample_row<SampleFourBytes<1>, 1, 2>,
     sample_row<SampleFourBytes<2>, 1, 2>, sample_row<SampleWide<Kind::c2s4>, 2, 4>,
     sample_row<SampleWide<Kind::c3s3>, 1, 3>, sample_row<SampleWide<Kind::c3s4>, 1, 4>,
     sample_row<SampleWide<Kind::c4s4>, 1, 4>, scalar::sample_row<uint16_t, 1, 2, 2>,
     scalar::sample_row<uint16_t, 3, 2, 6>, scalar::sample_row<uint16_t, 3, 2, 8>,
     scalar::sample_row<uint16_t, 4, 2, 8>},
    {sample_row_f32<SampleGray, 1, 1>, nullptr, nullptr, nullptr,
     sample_row_f32<SampleWide<Kind::c3s3>, 1, 3>, sample_row_f32<SampleWide<Kind::c3s4>, 1, 4>,
     sample_row_f32<SampleWide<Kind::c4s4>, 1, 4>, nullptr, nullptr, nullptr, nullptr},
    {SampleGray::load_bytes, SampleFourBytes<1>::load_bytes, SampleFourBytes<2>::load_bytes, 8, 8, 8, 8, 0, 0, 0, 0},
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
