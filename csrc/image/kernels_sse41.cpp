// Kernels for SSE4.1: four outputs at a time, the same steps and bounds as kernels_avx2.cpp, whose data sheet holds here.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_lanes.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("sse4.1")

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

MNNLITE_INLINE int32_t load_i32(const uint8_t* p) noexcept {
  int32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

MNNLITE_INLINE uint32_t load_u16(const uint8_t* p) noexcept {
  uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

MNNLITE_INLINE int64_t load_i64(const uint8_t* p) noexcept {
  int64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

MNNLITE_INLINE __m128i load_4x32(const int32_t* p) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

// What blends rows: interleaved bytes (upper, lower) give S = 64 (upper + lower) and D = 64 (lower - upper); with
// w' = 32 (w - 1024) in 16 signed bits S + ((D w' + 2^14) >> 15) is (upper (2048 - w) + lower w + 8) >> 4, exactly.
struct Rows {
  const __m128i sum, difference, weight;
  explicit MNNLITE_INLINE Rows(int32_t weight1) noexcept
      : sum(_mm_set1_epi8(64)), difference(_mm_set1_epi16(0x40c0)), weight(_mm_set1_epi16(static_cast<int16_t>((weight1 - 1024) * 32))) {}
  MNNLITE_INLINE __m128i blend(__m128i pairs) const noexcept {
    const __m128i part = _mm_mulhrs_epi16(_mm_maddubs_epi16(pairs, difference), weight);
    return _mm_add_epi16(_mm_maddubs_epi16(pairs, sum), part);
  }
};

// PSHUFB mask, worked out by the compiler, for 8 bytes of the upper and 8 of the lower row: a 32-bit lane for each
// component with its upper and lower first neighbour and its upper and lower second neighbour.
struct alignas(16) Mask {
  int8_t bytes[16] = {};
  MNNLITE_INLINE __m128i load() const noexcept { return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes)); }
};
template <Kind kind>
constexpr Mask quad_mask() noexcept {
  Mask mask;
  for (int at = 0; at < 16; ++at) {
    const int from = at % 4 < 2 ? Lanes<kind>::first[at / 4] : Lanes<kind>::second[at / 4];
    mask.bytes[at] = static_cast<int8_t>(from < 0 ? -1 : from + at % 2 * 8);
  }
  return mask;
}

// What lies around an output, components in 32-bit lanes.
MNNLITE_INLINE __m128i load_one(const uint8_t* row0, const uint8_t* row1, ptrdiff_t at, __m128i quads) noexcept {
  return _mm_shuffle_epi8(_mm_set_epi64x(load_i64(row1 + at), load_i64(row0 + at)), quads);
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
  static constexpr Mask mask = quad_mask<kind>();
  const __m128i quads;

  // Written out: a constructor that the compiler makes would not belong to the target region.
  inline SampleWide() noexcept : quads(mask.load()) {}

  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<count>& out) const noexcept {
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

// Gray or luma: the neighbours are two bytes, or with `Step` 2 (YUYV) the first and third of three. The integer units put
// them together while the vector units compute.
template <int Step>
struct SampleGray {
  static constexpr int count = 1;
  static constexpr int load_bytes = Step + 1;

  static MNNLITE_INLINE uint64_t neighbours(const uint8_t* upper, const uint8_t* lower) noexcept {
    if constexpr (Step == 1) return load_u16(upper) | static_cast<uint64_t>(load_u16(lower)) << 16;
    return upper[0] | upper[2] << 8 | lower[0] << 16 | static_cast<uint64_t>(lower[2]) << 24;
  }
  static MNNLITE_INLINE int64_t two(const uint8_t* row0, const uint8_t* row1, int32_t a, int32_t b) noexcept {
    return static_cast<int64_t>(neighbours(row0 + a, row1 + a) | neighbours(row0 + b, row1 + b) << 32);
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<1>& out) const noexcept {
    const __m128i both = _mm_set_epi64x(two(row0, row1, offset[2], offset[3]), two(row0, row1, offset[0], offset[1]));
    out.component[0] = _mm_shuffle_epi8(both, _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2;
  static constexpr int load_bytes = 4;

  static MNNLITE_INLINE __m128i two(const uint8_t* row0, const uint8_t* row1, int32_t a, int32_t b) noexcept {
    __m128i bytes = _mm_cvtsi32_si128(load_i32(row0 + a));
    bytes = _mm_insert_epi32(bytes, load_i32(row1 + a), 1);
    bytes = _mm_insert_epi32(bytes, load_i32(row0 + b), 2);
    return _mm_insert_epi32(bytes, load_i32(row1 + b), 3);
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<2>& out) const noexcept {
    const __m128i quads = _mm_setr_epi8(0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15);
    const __m128 a = _mm_castsi128_ps(_mm_shuffle_epi8(two(row0, row1, offset[0], offset[1]), quads));
    const __m128 b = _mm_castsi128_ps(_mm_shuffle_epi8(two(row0, row1, offset[2], offset[3]), quads));
    out.component[0] = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88));
    out.component[1] = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xdd));
  }
};

// Runs over [begin, end) of `count` columns in groups of four, the last one moved back to end in time: load(x, quads) and
// then use(x, quads); single(begin, end) does the columns that vector code must not touch.
// A group is loaded while the one before is computed; see kernels_avx2.cpp.
template <int Components, typename Load, typename Use, typename Single>
MNNLITE_INLINE void cover(int32_t begin, int32_t end, int32_t count, Load load, Use use, Single single) noexcept {
  if (end - begin < 4) {
    single(0, count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  Quads<Components> current;
  load(x, current);
  for (; x + 8 <= end; x += 4) {
    Quads<Components> next;
    load(x + 4, next);
    use(x, current);
    current = next;
  }
  use(x, current);
  if (x + 4 < end) {
    load(end - 4, current);
    use(end - 4, current);
  }
  single(end, count);
}

template <typename Sample, int Spacing, int Step>
MNNLITE_KERNEL void sample_row(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps,
                int32_t* const v[4]) noexcept {
  const Rows rows(weight1);
  int32_t* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) to[c] = v[c];
  const int32_t* const weights = taps.weights;
  const int32_t* const offset = taps.offset;
  const Sample sample;
  cover<Sample::count>(
      taps.wide_begin, taps.wide_end, taps.count,
      [&](int32_t x, Quads<Sample::count>& quads) { sample.load(row0, row1, offset + x, quads); },
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
MNNLITE_INLINE void sample_floats(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
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
  const int32_t* const offset = taps.offset;
  const Sample sample;
  cover<Sample::count>(
      taps.wide_begin, taps.wide_end, taps.count,
      [&](int32_t x, Quads<Sample::count>& quads) { sample.load(row0, row1, offset + x, quads); },
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
MNNLITE_KERNEL void sample_row_f32(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
                    const float bias[4], float* const out[4]) noexcept {
  bool biased = false;
  for (int c = 0; c < Sample::count; ++c) biased = biased || bias[c] != 0 || scale[c] < 0;
  if (biased)
    sample_floats<Sample, Spacing, Step, true>(row0, row1, weight1, taps, scale, bias, out);
  else
    sample_floats<Sample, Spacing, Step, false>(row0, row1, weight1, taps, scale, bias, out);
}

// Chroma of the three kinds of YUV, and the scalar code for their edges.
struct ChromaPairs {
  using Luma = SampleGray<1>;
  static constexpr auto columns = scalar::yuv_columns_f32<1, 2, 1>;
  const SamplePairs sample{};
  MNNLITE_INLINE void load(const YuvRows& rows, const int32_t* offset, Quads<2>& out) const noexcept {
    sample.load(rows.first[0], rows.first[1], offset, out);
  }
};
struct ChromaPlanes {
  using Luma = SampleGray<1>;
  static constexpr auto columns = scalar::yuv_columns_f32<1, 1, 0>;
  const SampleGray<1> sample{};
  MNNLITE_INLINE void load(const YuvRows& rows, const int32_t* offset, Quads<2>& out) const noexcept {
    Quads<1> plane;
    sample.load(rows.first[0], rows.first[1], offset, plane);
    out.component[0] = plane.component[0];
    sample.load(rows.second[0], rows.second[1], offset, plane);
    out.component[1] = plane.component[0];
  }
};
struct ChromaPacked {
  using Luma = SampleGray<2>;
  static constexpr auto columns = scalar::yuv_columns_f32<2, 4, 2>;
  const SampleWide<Kind::c2s4> sample;
  MNNLITE_INLINE ChromaPacked() noexcept : sample() {}
  MNNLITE_INLINE void load(const YuvRows& rows, const int32_t* offset, Quads<2>& out) const noexcept {
    sample.load(rows.first[0], rows.first[1], offset, out);
  }
};

// Two 16-bit coefficients for PMADDWD.
MNNLITE_INLINE __m128i pair_of(int32_t low, int32_t high) noexcept {
  return _mm_set1_epi32(static_cast<int32_t>((static_cast<uint32_t>(low) & 0xffff) | static_cast<uint32_t>(high) << 16));
}

// Sampled values v < 2^26 are cut to 15 bits and multiplied in pairs of luma and one chroma; what is subtracted from them
// in the definition is multiplied out into one constant a channel, exactly.
template <typename Chroma>
MNNLITE_KERNEL void yuv_row_f32(const YuvRows& rows, const Taps& luma, const Taps& chroma, const YuvMatrix& m, const float scale[3],
                 const float bias[3], float* const out[3]) noexcept {
  const Rows luma_rows(rows.luma_weight1), chroma_rows(rows.chroma_weight1);
  const __m128i red = pair_of(m.luma, m.red_v), blue = pair_of(m.luma, m.blue_u);
  const __m128i green_u = pair_of(m.luma, m.green_u), green_v = pair_of(0, m.green_v);
  const int32_t black = -(m.black << 7) * m.luma, middle = 128 << 7;
  const __m128i from_red = _mm_set1_epi32(black - middle * m.red_v);
  const __m128i from_green = _mm_set1_epi32(black - middle * (m.green_u + m.green_v));
  const __m128i from_blue = _mm_set1_epi32(black - middle * m.blue_u);
  const __m128i top = _mm_set1_epi32(255 << 20);
  __m128 k[3], b[3];
  float* to[3];
  for (int c = 0; c < 3; ++c) {
    k[c] = _mm_set1_ps(scale[c]);
    b[c] = _mm_set1_ps(bias[c]);
    to[c] = out[c];
  }
  const int32_t *const luma_at = luma.offset, *const chroma_at = chroma.offset;
  const int32_t *const luma_weights = luma.weights, *const chroma_weights = chroma.weights;
  const typename Chroma::Luma sample_luma;
  const Chroma sample_chroma;
  cover<3>(
      luma.wide_begin > chroma.wide_begin ? luma.wide_begin : chroma.wide_begin,
      luma.wide_end < chroma.wide_end ? luma.wide_end : chroma.wide_end, luma.count,
      [&](int32_t x, Quads<3>& quads) {
        Quads<1> light;
        Quads<2> color;
        sample_luma.load(rows.luma[0], rows.luma[1], luma_at + x, light);
        sample_chroma.load(rows, chroma_at + x, color);
        quads = {{light.component[0], color.component[0], color.component[1]}};
      },
      [&](int32_t x, const Quads<3>& quads) {
        const __m128i weights_y = load_4x32(luma_weights + x), weights_c = load_4x32(chroma_weights + x);
        const __m128i y = _mm_srli_epi32(_mm_madd_epi16(luma_rows.blend(quads.component[0]), weights_y), 11);
        const __m128i u = _mm_madd_epi16(chroma_rows.blend(quads.component[1]), weights_c);
        const __m128i v = _mm_madd_epi16(chroma_rows.blend(quads.component[2]), weights_c);
        const __m128i yu = _mm_blend_epi16(y, _mm_slli_epi32(u, 5), 0xaa);
        const __m128i yv = _mm_blend_epi16(y, _mm_slli_epi32(v, 5), 0xaa);
        const __m128i green = _mm_add_epi32(_mm_madd_epi16(yu, green_u), _mm_madd_epi16(yv, green_v));
        const __m128i rgb[3] = {_mm_add_epi32(_mm_madd_epi16(yv, red), from_red), _mm_add_epi32(green, from_green),
                                _mm_add_epi32(_mm_madd_epi16(yu, blue), from_blue)};
        for (int c = 0; c < 3; ++c) {
          const __m128i level = _mm_min_epi32(_mm_max_epi32(rgb[c], _mm_setzero_si128()), top);
          _mm_storeu_ps(to[c] + x, _mm_add_ps(_mm_mul_ps(_mm_cvtepi32_ps(level), k[c]), b[c]));
        }
      },
      [&](int32_t begin, int32_t end) { Chroma::columns(rows, luma, chroma, m, begin, end, scale, bias, out); });
}

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kSse41Kernels = {
    Isa::sse41,
    {sample_row<SampleGray<1>, 1, 1>, sample_row<SampleGray<2>, 1, 2>,
     sample_row<SamplePairs, 1, 2>, sample_row<SampleWide<Kind::c2s4>, 2, 4>,
     sample_row<SampleWide<Kind::c3s3>, 1, 3>, sample_row<SampleWide<Kind::c3s4>, 1, 4>,
     sample_row<SampleWide<Kind::c4s4>, 1, 4>, scalar::sample_row<uint16_t, 1, 2, 2>,
     scalar::sample_row<uint16_t, 3, 2, 6>, scalar::sample_row<uint16_t, 3, 2, 8>,
     scalar::sample_row<uint16_t, 4, 2, 8>},
    {sample_row_f32<SampleGray<1>, 1, 1>, nullptr, nullptr, nullptr,
     sample_row_f32<SampleWide<Kind::c3s3>, 1, 3>, sample_row_f32<SampleWide<Kind::c3s4>, 1, 4>,
     sample_row_f32<SampleWide<Kind::c4s4>, 1, 4>, nullptr, nullptr, nullptr, nullptr},
    nullptr,
    {},
    {yuv_row_f32<ChromaPairs>, yuv_row_f32<ChromaPlanes>, yuv_row_f32<ChromaPacked>},
    {},
    {SampleGray<1>::load_bytes, SampleGray<2>::load_bytes, SamplePairs::load_bytes, 8, 8, 8, 8, 0, 0, 0, 0},
    {scalar::warp_row<uint8_t, 1, 1, 1>, scalar::warp_row<uint8_t, 1, 1, 2>, scalar::warp_row<uint8_t, 2, 1, 2>,
     scalar::warp_row<uint8_t, 2, 2, 4>, scalar::warp_row<uint8_t, 3, 1, 3>, scalar::warp_row<uint8_t, 3, 1, 4>,
     scalar::warp_row<uint8_t, 4, 1, 4>, scalar::warp_row<uint16_t, 1, 2, 2>, scalar::warp_row<uint16_t, 3, 2, 6>,
     scalar::warp_row<uint16_t, 3, 2, 8>, scalar::warp_row<uint16_t, 4, 2, 8>},
    project,
    to_fixed,
    warp_taps,
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
    {{store_pixels_f32<float, 3>, nullptr, store_pixels_real<uint8_t, 3>, store_pixels_real<int8_t, 3>,
      store_pixels_exact<uint8_t, 3>, store_pixels_exact<int8_t, 3>},
     {store_pixels_f32<float, 4>, nullptr, store_pixels_real<uint8_t, 4>, store_pixels_real<int8_t, 4>,
      store_pixels_exact<uint8_t, 4>, store_pixels_exact<int8_t, 4>}},
};

}  // namespace mnnlite::image

#pragma GCC pop_options

#endif  // __x86_64__
