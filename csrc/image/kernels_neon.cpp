// Kernels for NEON on 64-bit ARM: four outputs at a time, the steps of kernels_avx2.cpp in ARM's instructions.
//
// Data sheet. Per output and row one load of the 8 (gray 2, chroma pairs 4) bytes that hold both neighbours; a table lookup
// over four outputs puts the first and the second neighbours of a component side by side, upper row in the low half, lower
// row in the high one. USUBL and SQRDMULH blend rows: with w in 1/2048 the doubled, rounded high half of 128 (lower - upper)
// times 16 w is ((lower - upper) w + 8) >> 4, and UMLAL adds 128 upper; w is at most 2047, so 16 w fits. SMULL and SMLAL
// blend across: 32640 * 2048 < 2^26; see kernels_scalar.hpp for the bounds.
// Bound: some 15 instructions an output of three channels, of the scalar code some 60; tools/arm counts them.
// Multiplication and addition stay apart (no FMLA), so that the bits are the baseline's.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_lanes.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

// Sampled components of four outputs, as 8 bits: first neighbours of the upper row, second ones, then the lower row's.
template <int Count>
struct Quads {
  uint8x16_t component[Count];
};

// Blends the rows; first neighbours in the low half, second ones in the high half, 7 fraction bits.
struct Rows {
  int16_t weight;
  explicit Rows(int32_t weight1) noexcept : weight(static_cast<int16_t>(weight1 * 16)) {}
  MNNLITE_INLINE int16x8_t blend(uint8x16_t quads) const noexcept {
    const uint8x8_t upper = vget_low_u8(quads);
    const int16x8_t difference = vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(quads), upper));
    const int16x8_t part = vqrdmulhq_n_s16(vshlq_n_s16(difference, 7), weight);
    return vreinterpretq_s16_u16(vmlal_u8(vreinterpretq_u16_s16(part), upper, vdup_n_u8(128)));
  }
};

// The same where every output has its own rows; the two halves of a register need the same four weights.
struct OwnRows {
  int16x8_t weight;
  explicit OwnRows(const int32_t* weights1) noexcept {
    const int16x4_t four = vmovn_s32(vshlq_n_s32(vld1q_s32(weights1), 4));
    weight = vcombine_s16(four, four);
  }
  MNNLITE_INLINE int16x8_t blend(uint8x16_t quads) const noexcept {
    const uint8x8_t upper = vget_low_u8(quads);
    const int16x8_t difference = vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(quads), upper));
    const int16x8_t part = vqrdmulhq_s16(vshlq_n_s16(difference, 7), weight);
    return vreinterpretq_s16_u16(vmlal_u8(vreinterpretq_u16_s16(part), upper, vdup_n_u8(128)));
  }
};

// Weights of four outputs, the first neighbours' and the second ones'.
struct Columns {
  int16x4_t first, second;
  explicit Columns(const int32_t* weights) noexcept {
    const int32x4_t pairs = vld1q_s32(weights);
    first = vmovn_s32(pairs);
    second = vshrn_n_s32(pairs, 16);
  }
  MNNLITE_INLINE int32x4_t blend(int16x8_t t) const noexcept {
    return vmlal_s16(vmull_s16(vget_low_s16(t), first), vget_high_s16(t), second);
  }
};

MNNLITE_INLINE uint8x16_t load_8_and_8(const uint8_t* upper, const uint8_t* lower) noexcept {
  return vcombine_u8(vld1_u8(upper), vld1_u8(lower));
}

// Indices for table lookups, worked out by the compiler.
struct alignas(16) Lookup {
  uint8_t bytes[16] = {};
};
// Makes Quads of component c from four registers with 8 bytes of each row.
template <Kind kind, int c>
constexpr Lookup quad_lookup() noexcept {
  Lookup lookup;
  for (int at = 0; at < 16; ++at) {
    const int from = at % 8 < 4 ? Lanes<kind>::first[c] : Lanes<kind>::second[c];
    lookup.bytes[at] = static_cast<uint8_t>(at % 4 * 16 + at / 8 * 8 + from);
  }
  return lookup;
}
// Makes Quads of component c of interleaved chroma from a register of each row.
template <int c>
constexpr Lookup chroma_lookup() noexcept {
  Lookup lookup;
  for (int at = 0; at < 16; ++at) lookup.bytes[at] = static_cast<uint8_t>(at / 8 * 16 + at % 4 * 4 + at % 8 / 4 * 2 + c);
  return lookup;
}

// Neighbours in 8 bytes.
template <Kind kind>
struct SampleWide {
  static constexpr int count = Lanes<kind>::count;
  static constexpr int load_bytes = 8;
  uint8x16_t lookup[count];

  SampleWide() noexcept {
    static constexpr Lookup tables[4] = {quad_lookup<kind, 0>(), quad_lookup<kind, 1>(), quad_lookup<kind, 2>(),
                                         quad_lookup<kind, 3>()};
    for (int c = 0; c < count; ++c) lookup[c] = vld1q_u8(tables[c].bytes);
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<count>& out) const noexcept {
    uint8x16x4_t table;
    for (int i = 0; i < 4; ++i) table.val[i] = load_8_and_8(row0 + offset[i], row1 + offset[i]);
    for (int c = 0; c < count; ++c) out.component[c] = vqtbl4q_u8(table, lookup[c]);
  }
};

// Gray or luma: the neighbours are two bytes, or with `Step` 2 (YUYV) the first and third of three.
template <int Step>
struct SampleGray {
  static constexpr int count = 1;
  static constexpr int load_bytes = Step + 1;
  uint8x16_t lookup;

  SampleGray() noexcept {
    static constexpr uint8_t index[16] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
    lookup = vld1q_u8(index);
  }
  static MNNLITE_INLINE uint16_t neighbours(const uint8_t* p) noexcept {
    if constexpr (Step == 2) return static_cast<uint16_t>(p[0] | p[2] << 8);
    uint16_t value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<1>& out) const noexcept {
    uint16x8_t pairs = vdupq_n_u16(0);
    pairs = vsetq_lane_u16(neighbours(row0 + offset[0]), pairs, 0);
    pairs = vsetq_lane_u16(neighbours(row0 + offset[1]), pairs, 1);
    pairs = vsetq_lane_u16(neighbours(row0 + offset[2]), pairs, 2);
    pairs = vsetq_lane_u16(neighbours(row0 + offset[3]), pairs, 3);
    pairs = vsetq_lane_u16(neighbours(row1 + offset[0]), pairs, 4);
    pairs = vsetq_lane_u16(neighbours(row1 + offset[1]), pairs, 5);
    pairs = vsetq_lane_u16(neighbours(row1 + offset[2]), pairs, 6);
    pairs = vsetq_lane_u16(neighbours(row1 + offset[3]), pairs, 7);
    out.component[0] = vqtbl1q_u8(vreinterpretq_u8_u16(pairs), lookup);
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2;
  static constexpr int load_bytes = 4;
  uint8x16_t lookup[2];

  SamplePairs() noexcept {
    static constexpr Lookup tables[2] = {chroma_lookup<0>(), chroma_lookup<1>()};
    for (int c = 0; c < 2; ++c) lookup[c] = vld1q_u8(tables[c].bytes);
  }
  static MNNLITE_INLINE uint32_t four_bytes(const uint8_t* p) noexcept {
    uint32_t value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  static MNNLITE_INLINE uint8x16_t row(const uint8_t* p, const int32_t* offset) noexcept {
    uint32x4_t bytes = vdupq_n_u32(0);
    bytes = vsetq_lane_u32(four_bytes(p + offset[0]), bytes, 0);
    bytes = vsetq_lane_u32(four_bytes(p + offset[1]), bytes, 1);
    bytes = vsetq_lane_u32(four_bytes(p + offset[2]), bytes, 2);
    bytes = vsetq_lane_u32(four_bytes(p + offset[3]), bytes, 3);
    return vreinterpretq_u8_u32(bytes);
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<2>& out) const noexcept {
    const uint8x16x2_t table = {{row(row0, offset), row(row1, offset)}};
    out.component[0] = vqtbl2q_u8(table, lookup[0]);
    out.component[1] = vqtbl2q_u8(table, lookup[1]);
  }
};

// Runs over [begin, end) of `count` columns in groups of four, the last one moved back to end in time: group(x);
// single(begin, end) does the columns that vector code must not touch.
template <typename Group, typename Single>
MNNLITE_INLINE void cover(int32_t begin, int32_t end, int32_t count, Group group, Single single) noexcept {
  if (end - begin < 4) {
    single(0, count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  for (; x + 4 <= end; x += 4) group(x);
  if (x < end) group(end - 4);
  single(end, count);
}

template <typename Sample, int Spacing, int Step>
MNNLITE_KERNEL void sample_row(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps,
                int32_t* const v[4]) noexcept {
  const Rows rows(weight1);
  const Sample sample;
  cover(
      taps.wide_begin, taps.wide_end, taps.count,
      [&](int32_t x) {
        Quads<Sample::count> quads;
        sample.load(row0, row1, taps.offset + x, quads);
        const Columns columns(taps.weights + x);
        for (int c = 0; c < Sample::count; ++c) vst1q_s32(v[c] + x, columns.blend(rows.blend(quads.component[c])));
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns<uint8_t, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, v);
      });
}

template <typename Sample, int Spacing, int Step>
MNNLITE_KERNEL void sample_row_f32(const uint8_t* row0, const uint8_t* row1, int32_t weight1, const Taps& taps, const float scale[4],
                    const float bias[4], float* const out[4]) noexcept {
  const Rows rows(weight1);
  const Sample sample;
  float k[Sample::count];
  float32x4_t b[Sample::count];
  float* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) {
    k[c] = scale[c];
    b[c] = vdupq_n_f32(bias[c]);
    to[c] = out[c];
  }
  const int32_t *const offset = taps.offset, *const weights = taps.weights;
  cover(
      taps.wide_begin, taps.wide_end, taps.count,
      [&](int32_t x) {
        Quads<Sample::count> quads;
        sample.load(row0, row1, offset + x, quads);
        const Columns columns(weights + x);
        for (int c = 0; c < Sample::count; ++c) {
          const float32x4_t v = vcvtq_f32_s32(columns.blend(rows.blend(quads.component[c])));
          vst1q_f32(to[c] + x, vaddq_f32(vmulq_n_f32(v, k[c]), b[c]));
        }
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns_f32<uint8_t, Sample::count, Spacing, Step>(row0, row1, weight1, taps, begin, end, scale,
                                                                          bias, out);
      });
}

template <typename Sample, int Spacing, int Step>
MNNLITE_KERNEL void warp_row(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps, int32_t* const v[4]) noexcept {
  const Sample sample;
  const auto group = [&](int32_t x) {
    int32_t wide;
    std::memcpy(&wide, taps.wide + x, sizeof wide);
    if (wide != 0x01010101) {
      scalar::warp_columns<uint8_t, Sample::count, Spacing, Step>(plane, to_next_row, taps, x, x + 4, v);
      return;
    }
    Quads<Sample::count> quads;
    sample.load(plane, plane + to_next_row, taps.offset + x, quads);
    const OwnRows rows(taps.weights_y + x);
    const Columns columns(taps.weights_x + x);
    for (int c = 0; c < Sample::count; ++c) vst1q_s32(v[c] + x, columns.blend(rows.blend(quads.component[c])));
  };
  if (taps.count < 4) {
    scalar::warp_columns<uint8_t, Sample::count, Spacing, Step>(plane, to_next_row, taps, 0, taps.count, v);
    return;
  }
  for (int32_t x = 0; x + 4 <= taps.count; x += 4) group(x);
  if (taps.count % 4 != 0) group(taps.count - 4);
}

// Chroma of the three kinds of YUV, and the scalar code for their edges.
struct ChromaPairs {
  using Luma = SampleGray<1>;
  static constexpr auto columns = scalar::yuv_columns_f32<1, 2, 1>;
  SamplePairs sample;
  MNNLITE_INLINE void load(const YuvRows& rows, const int32_t* offset, Quads<2>& out) const noexcept {
    sample.load(rows.first[0], rows.first[1], offset, out);
  }
};
struct ChromaPlanes {
  using Luma = SampleGray<1>;
  static constexpr auto columns = scalar::yuv_columns_f32<1, 1, 0>;
  SampleGray<1> sample;
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
  SampleWide<Kind::c2s4> sample;
  MNNLITE_INLINE void load(const YuvRows& rows, const int32_t* offset, Quads<2>& out) const noexcept {
    sample.load(rows.first[0], rows.first[1], offset, out);
  }
};

// What the definition subtracts from the samples is multiplied out into one constant a channel, exactly.
template <typename Chroma>
MNNLITE_KERNEL void yuv_row_f32(const YuvRows& rows, const Taps& luma, const Taps& chroma, const YuvMatrix& m, const float scale[3],
                 const float bias[3], float* const out[3]) noexcept {
  const Rows luma_rows(rows.luma_weight1), chroma_rows(rows.chroma_weight1);
  const typename Chroma::Luma sample_luma;
  const Chroma sample_chroma;
  const int32_t black = -(m.black << 7) * m.luma, middle = 128 << 7;
  const int32x4_t from[3] = {vdupq_n_s32(black - middle * m.red_v), vdupq_n_s32(black - middle * (m.green_u + m.green_v)),
                             vdupq_n_s32(black - middle * m.blue_u)};
  const int32x4_t zero = vdupq_n_s32(0), top = vdupq_n_s32(255 << 20);
  float32x4_t b[3];
  for (int c = 0; c < 3; ++c) b[c] = vdupq_n_f32(bias[c]);
  cover(
      luma.wide_begin > chroma.wide_begin ? luma.wide_begin : chroma.wide_begin,
      luma.wide_end < chroma.wide_end ? luma.wide_end : chroma.wide_end, luma.count,
      [&](int32_t x) {
        Quads<1> light;
        Quads<2> color;
        sample_luma.load(rows.luma[0], rows.luma[1], luma.offset + x, light);
        sample_chroma.load(rows, chroma.offset + x, color);
        const Columns chroma_columns(chroma.weights + x);
        const int32x4_t y = vshrq_n_s32(Columns(luma.weights + x).blend(luma_rows.blend(light.component[0])), 11);
        const int32x4_t u = vshrq_n_s32(chroma_columns.blend(chroma_rows.blend(color.component[0])), 11);
        const int32x4_t v = vshrq_n_s32(chroma_columns.blend(chroma_rows.blend(color.component[1])), 11);
        const int32x4_t rgb[3] = {vmlaq_n_s32(vmlaq_n_s32(from[0], y, m.luma), v, m.red_v),
                                  vmlaq_n_s32(vmlaq_n_s32(vmlaq_n_s32(from[1], y, m.luma), u, m.green_u), v, m.green_v),
                                  vmlaq_n_s32(vmlaq_n_s32(from[2], y, m.luma), u, m.blue_u)};
        for (int c = 0; c < 3; ++c) {
          const float32x4_t level = vcvtq_f32_s32(vminq_s32(vmaxq_s32(rgb[c], zero), top));
          vst1q_f32(out[c] + x, vaddq_f32(vmulq_n_f32(level, scale[c]), b[c]));
        }
      },
      [&](int32_t begin, int32_t end) { Chroma::columns(rows, luma, chroma, m, begin, end, scale, bias, out); });
}

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  int32_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const float32x4_t real = vaddq_f32(vmulq_n_f32(vcvtq_f32_s32(vld1q_s32(v + i)), k), vdupq_n_f32(b));
    const uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(real));
    if constexpr (Strided) {
      uint16_t each[4];
      vst1_u16(each, half);
      for (int j = 0; j < 4; ++j) to[(i + j) * step] = each[j];
    } else {
      vst1_u16(to + i, half);
    }
  }
  for (; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kNeonKernels = {
    Isa::neon,
    {sample_row<SampleGray<1>, 1, 1>, sample_row<SampleGray<2>, 1, 2>, sample_row<SamplePairs, 1, 2>,
     sample_row<SampleWide<Kind::c2s4>, 2, 4>, sample_row<SampleWide<Kind::c3s3>, 1, 3>,
     sample_row<SampleWide<Kind::c3s4>, 1, 4>, sample_row<SampleWide<Kind::c4s4>, 1, 4>,
     scalar::sample_row<uint16_t, 1, 2, 2>, scalar::sample_row<uint16_t, 3, 2, 6>,
     scalar::sample_row<uint16_t, 3, 2, 8>, scalar::sample_row<uint16_t, 4, 2, 8>},
    {sample_row_f32<SampleGray<1>, 1, 1>, nullptr, nullptr, nullptr, sample_row_f32<SampleWide<Kind::c3s3>, 1, 3>,
     sample_row_f32<SampleWide<Kind::c3s4>, 1, 4>, sample_row_f32<SampleWide<Kind::c4s4>, 1, 4>, nullptr, nullptr, nullptr,
     nullptr},
    nullptr,
    {},
    {yuv_row_f32<ChromaPairs>, yuv_row_f32<ChromaPlanes>, yuv_row_f32<ChromaPacked>},
    {},
    {SampleGray<1>::load_bytes, SampleGray<2>::load_bytes, SamplePairs::load_bytes, 8, 8, 8, 8, 0, 0, 0, 0},
    {warp_row<SampleGray<1>, 1, 1>, warp_row<SampleGray<2>, 1, 2>, warp_row<SamplePairs, 1, 2>,
     warp_row<SampleWide<Kind::c2s4>, 2, 4>, warp_row<SampleWide<Kind::c3s3>, 1, 3>, warp_row<SampleWide<Kind::c3s4>, 1, 4>,
     warp_row<SampleWide<Kind::c4s4>, 1, 4>, scalar::warp_row<uint16_t, 1, 2, 2>, scalar::warp_row<uint16_t, 3, 2, 6>,
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

#endif  // __aarch64__
