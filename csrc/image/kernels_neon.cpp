// Kernels for NEON on 64-bit ARM: eight outputs at a time.
//
// Data sheet. A table lookup puts the first neighbours of a component in the low half of a register and the second ones in
// the high half, from a register of the upper row and one of the lower. USUBL and SQRDMULH blend rows: with w in 1/2048 the
// doubled, rounded high half of 128 (lower - upper) times 16 w is ((lower - upper) w + 8) >> 4, and UMLAL adds 128 upper; w
// is at most 2047, so 16 w fits. SMULL and SMLAL blend across: 32640 * 2048 < 2^26; see kernels_scalar.hpp for the bounds.
// Bound: in windows some 11 instructions an output of three channels, gathered 15, of the scalar code some 60; tools/arm
// counts them.
// 16-bit samples: UMULL and UMLAL blend rows into 27 bits, RSHRN drops 11 of them as the definition does; the neighbours of a
// pixel lie in one register, so across it is UMULL and UMLAL by its own weights. Pixels of several components are blended one
// by one and four of them transposed: some 22 instructions a pixel, of the scalar code 120.
// Multiplication and addition stay apart (no FMLA), so that the bits are the baseline's.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_components.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

constexpr int kGroupOutputs = 8;
using Ints = int32x4x2_t;

MNNLITE_INLINE void store(int32_t* to, Ints v) noexcept {
  vst1q_s32(to, v.val[0]);
  vst1q_s32(to + 4, v.val[1]);
}

// The samples around eight outputs: of each row first neighbours in the low half, second ones in the high half.
struct Quad {
  uint8x16_t upper, lower;
};
template <int Count>
struct Quads {
  Quad component[Count];
};

MNNLITE_INLINE int16x8_t plus_upper(int16x8_t part, uint8x8_t upper) noexcept {
  return vreinterpretq_s16_u16(vmlal_u8(vreinterpretq_u16_s16(part), upper, vdup_n_u8(128)));
}
MNNLITE_INLINE int16x8_t difference(uint8x8_t upper, uint8x8_t lower) noexcept {
  return vshlq_n_s16(vreinterpretq_s16_u16(vsubl_u8(lower, upper)), 7);
}

struct Rows {
  int16_t weight;
  explicit Rows(int32_t weight1) noexcept : weight(static_cast<int16_t>(weight1 * 16)) {}
  MNNLITE_INLINE int16x8_t half(uint8x8_t upper, uint8x8_t lower) const noexcept {
    return plus_upper(vqrdmulhq_n_s16(difference(upper, lower), weight), upper);
  }
};

// The same where every output has its own rows.
struct OwnRows {
  int16x8_t weight;
  explicit OwnRows(const int32_t* weights1) noexcept
      : weight(vshlq_n_s16(
            vuzp1q_s16(vreinterpretq_s16_s32(vld1q_s32(weights1)), vreinterpretq_s16_s32(vld1q_s32(weights1 + 4))),
            4)) {}
  MNNLITE_INLINE int16x8_t half(uint8x8_t upper, uint8x8_t lower) const noexcept {
    return plus_upper(vqrdmulhq_s16(difference(upper, lower), weight), upper);
  }
};

// Weights of eight outputs, the first neighbours' and the second ones'.
struct Columns {
  int16x8_t first, second;
  explicit Columns(const int32_t* weights) noexcept {
    const int16x8_t low = vreinterpretq_s16_s32(vld1q_s32(weights)),
                    high = vreinterpretq_s16_s32(vld1q_s32(weights + 4));
    first = vuzp1q_s16(low, high);
    second = vuzp2q_s16(low, high);
  }
};

template <typename AnyRows>
MNNLITE_INLINE Ints sampled(const AnyRows& rows, const Quad& quad, const Columns& columns) noexcept {
  const int16x8_t first = rows.half(vget_low_u8(quad.upper), vget_low_u8(quad.lower));
  const int16x8_t second = rows.half(vget_high_u8(quad.upper), vget_high_u8(quad.lower));
  return {{vmlal_s16(vmull_s16(vget_low_s16(first), vget_low_s16(columns.first)), vget_low_s16(second),
                     vget_low_s16(columns.second)),
           vmlal_high_s16(vmull_high_s16(first, columns.first), second, columns.second)}};
}

// Two or four windows of each row are a table; an index counts on from one window to the next.
template <int per_window, int count, int spacing>
MNNLITE_INLINE void load_windows(const uint8_t* row0, const uint8_t* row1, const int32_t* starts,
                                 const uint32_t* shuffle_masks, Quads<count>& quads) noexcept {
  static constexpr uint8_t bases[2][8] = {{0, 0, 16, 16, 32, 32, 48, 48}, {0, 0, 0, 0, 16, 16, 16, 16}};
  const uint8x8_t base = vld1_u8(bases[per_window / 4]);
  const uint16x8_t low = vreinterpretq_u16_u32(vld1q_u32(shuffle_masks)),
                   high = vreinterpretq_u16_u32(vld1q_u32(shuffle_masks + 4));
  const uint8x16_t firsts = vreinterpretq_u8_u16(vuzp1q_u16(low, high)),
                   seconds = vreinterpretq_u8_u16(vuzp2q_u16(low, high));
  const uint8x16_t shuffle_mask = vaddq_u8(vuzp1q_u8(firsts, seconds), vcombine_u8(base, base));
  if constexpr (per_window == 4) {
    const uint8x16x2_t upper = {{vld1q_u8(row0 + starts[0]), vld1q_u8(row0 + starts[1])}};
    const uint8x16x2_t lower = {{vld1q_u8(row1 + starts[0]), vld1q_u8(row1 + starts[1])}};
    for (int c = 0; c < count; ++c) {
      const uint8x16_t at =
          c == 0 ? shuffle_mask : vaddq_u8(shuffle_mask, vdupq_n_u8(static_cast<uint8_t>(c * spacing)));
      quads.component[c] = {vqtbl2q_u8(upper, at), vqtbl2q_u8(lower, at)};
    }
  } else {
    uint8x16x4_t upper, lower;
    for (int i = 0; i < 4; ++i) {
      upper.val[i] = vld1q_u8(row0 + starts[i]);
      lower.val[i] = vld1q_u8(row1 + starts[i]);
    }
    for (int c = 0; c < count; ++c) {
      const uint8x16_t at =
          c == 0 ? shuffle_mask : vaddq_u8(shuffle_mask, vdupq_n_u8(static_cast<uint8_t>(c * spacing)));
      quads.component[c] = {vqtbl4q_u8(upper, at), vqtbl4q_u8(lower, at)};
    }
  }
}

// Indices for table lookups, worked out by the compiler: of eight pixels `bytes` apart the first neighbours at `first`, then
// the second ones `step` further.
struct alignas(16) Lookup {
  uint8_t bytes[16] = {};
};
constexpr Lookup lookup_of(int bytes, int first, int step) noexcept {
  Lookup lookup;
  for (int at = 0; at < 16; ++at) lookup.bytes[at] = static_cast<uint8_t>(at % 8 * bytes + first + at / 8 * step);
  return lookup;
}

// Neighbours in 8 bytes.
template <Kind kind>
struct SampleWide {
  static constexpr int count = ComponentBytes<kind>::count, spacing = ComponentBytes<kind>::spacing,
                       step = ComponentBytes<kind>::step;
  static constexpr int load_bytes = 8;
  uint8x16_t lookup[count];

  SampleWide() noexcept {
    static constexpr Lookup tables[4] = {lookup_of(8, 0, step), lookup_of(8, spacing, step),
                                         lookup_of(8, 2 * spacing, step), lookup_of(8, 3 * spacing, step)};
    for (int c = 0; c < count; ++c) lookup[c] = vld1q_u8(tables[c].bytes);
  }
  static MNNLITE_INLINE uint8x16x4_t row(const uint8_t* p, const int32_t* offset) noexcept {
    uint8x16x4_t pixels;
    for (int i = 0; i < 4; ++i) pixels.val[i] = vcombine_u8(vld1_u8(p + offset[2 * i]), vld1_u8(p + offset[2 * i + 1]));
    return pixels;
  }
  MNNLITE_INLINE void gather(const uint8_t* row0, const uint8_t* row1, const int32_t* offset,
                             Quads<count>& quads) const noexcept {
    const uint8x16x4_t upper = row(row0, offset), lower = row(row1, offset);
    for (int c = 0; c < count; ++c) quads.component[c] = {vqtbl4q_u8(upper, lookup[c]), vqtbl4q_u8(lower, lookup[c])};
  }
};

// Gray or luma: the neighbours are two bytes, or with step 2 (YUYV) the first and third of three.
template <int Step>
struct SampleGray {
  static constexpr int count = 1, spacing = 1, step = Step;
  static constexpr int load_bytes = Step + 1;
  uint8x16_t lookup;

  SampleGray() noexcept {
    static constexpr Lookup table = lookup_of(2, 0, 1);
    lookup = vld1q_u8(table.bytes);
  }
  static MNNLITE_INLINE uint16_t neighbours(const uint8_t* p) noexcept {
    if constexpr (Step == 2) return static_cast<uint16_t>(p[0] | p[2] << 8);
    uint16_t value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  static MNNLITE_INLINE uint8x16_t row(const uint8_t* p, const int32_t* offset) noexcept {
    uint16x8_t pairs = vdupq_n_u16(neighbours(p + offset[0]));
    pairs = vsetq_lane_u16(neighbours(p + offset[1]), pairs, 1);
    pairs = vsetq_lane_u16(neighbours(p + offset[2]), pairs, 2);
    pairs = vsetq_lane_u16(neighbours(p + offset[3]), pairs, 3);
    pairs = vsetq_lane_u16(neighbours(p + offset[4]), pairs, 4);
    pairs = vsetq_lane_u16(neighbours(p + offset[5]), pairs, 5);
    pairs = vsetq_lane_u16(neighbours(p + offset[6]), pairs, 6);
    pairs = vsetq_lane_u16(neighbours(p + offset[7]), pairs, 7);
    return vreinterpretq_u8_u16(pairs);
  }
  MNNLITE_INLINE void gather(const uint8_t* row0, const uint8_t* row1, const int32_t* offset,
                             Quads<1>& quads) const noexcept {
    quads.component[0] = {vqtbl1q_u8(row(row0, offset), lookup), vqtbl1q_u8(row(row1, offset), lookup)};
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2, spacing = 1, step = 2;
  static constexpr int load_bytes = 4;
  uint8x16_t lookup[2];

  SamplePairs() noexcept {
    static constexpr Lookup tables[2] = {lookup_of(4, 0, step), lookup_of(4, 1, step)};
    for (int c = 0; c < 2; ++c) lookup[c] = vld1q_u8(tables[c].bytes);
  }
  static MNNLITE_INLINE uint32_t four_bytes(const uint8_t* p) noexcept {
    uint32_t value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
  static MNNLITE_INLINE uint8x16_t four(const uint8_t* p, const int32_t* offset) noexcept {
    uint32x4_t bytes = vdupq_n_u32(four_bytes(p + offset[0]));
    bytes = vsetq_lane_u32(four_bytes(p + offset[1]), bytes, 1);
    bytes = vsetq_lane_u32(four_bytes(p + offset[2]), bytes, 2);
    bytes = vsetq_lane_u32(four_bytes(p + offset[3]), bytes, 3);
    return vreinterpretq_u8_u32(bytes);
  }
  MNNLITE_INLINE void gather(const uint8_t* row0, const uint8_t* row1, const int32_t* offset,
                             Quads<2>& quads) const noexcept {
    const uint8x16x2_t upper = {{four(row0, offset), four(row0, offset + 4)}},
                       lower = {{four(row1, offset), four(row1, offset + 4)}};
    for (int c = 0; c < 2; ++c) quads.component[c] = {vqtbl2q_u8(upper, lookup[c]), vqtbl2q_u8(lower, lookup[c])};
  }
};

template <int Count>
class Scaling {
 public:
  Scaling(const float* scale, const float* bias) noexcept {
    for (int c = 0; c < Count; ++c) {
      k_[c] = scale[c];
      b_[c] = vdupq_n_f32(bias[c]);
    }
  }
  template <bool biased>
  MNNLITE_INLINE void store(float* to, int c, const Ints& v) const noexcept {
    for (int half = 0; half < 2; ++half) {
      const float32x4_t scaled = vmulq_n_f32(vcvtq_f32_s32(v.val[half]), k_[c]);
      vst1q_f32(to + 4 * half, biased ? vaddq_f32(scaled, b_[c]) : scaled);
    }
  }

 private:
  float k_[Count];
  float32x4_t b_[Count];
};

// What the definition subtracts from the samples is multiplied out into one constant a channel, exactly.
class ToRgb {
 public:
  explicit ToRgb(const YuvMatrix& m) noexcept : m_(m) {
    const int32_t black = -(m.black << 7) * m.luma, middle = 128 << 7;
    from_[0] = vdupq_n_s32(black - middle * m.red_v);
    from_[1] = vdupq_n_s32(black - middle * (m.green_u + m.green_v));
    from_[2] = vdupq_n_s32(black - middle * m.blue_u);
  }
  MNNLITE_INLINE void operator()(const Ints& luma, const Ints& u, const Ints& v, Ints rgb[3]) const noexcept {
    for (int half = 0; half < 2; ++half) {
      const int32x4_t y = vshrq_n_s32(luma.val[half], 11), cb = vshrq_n_s32(u.val[half], 11),
                      cr = vshrq_n_s32(v.val[half], 11);
      rgb[0].val[half] = clamped(vmlaq_n_s32(vmlaq_n_s32(from_[0], y, m_.luma), cr, m_.red_v));
      rgb[1].val[half] =
          clamped(vmlaq_n_s32(vmlaq_n_s32(vmlaq_n_s32(from_[1], y, m_.luma), cb, m_.green_u), cr, m_.green_v));
      rgb[2].val[half] = clamped(vmlaq_n_s32(vmlaq_n_s32(from_[2], y, m_.luma), cb, m_.blue_u));
    }
  }

 private:
  static MNNLITE_INLINE int32x4_t clamped(int32x4_t v) noexcept {
    return vminq_s32(vmaxq_s32(v, vdupq_n_s32(0)), vdupq_n_s32(255 << 20));
  }
  const YuvMatrix m_;
  int32x4_t from_[3];
};

#include "image/kernels_rows.inl"

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

// Weights of two rows of 16-bit samples.
struct WideRows {
  uint16x4_t upper, lower;
  explicit MNNLITE_INLINE WideRows(int32_t weight1) noexcept
      : upper(vdup_n_u16(static_cast<uint16_t>(2048 - weight1))), lower(vdup_n_u16(static_cast<uint16_t>(weight1))) {}
  MNNLITE_INLINE uint16x8_t blend(const uint8_t* row0, const uint8_t* row1) const noexcept {
    return blend(vreinterpretq_u16_u8(vld1q_u8(row0)), vreinterpretq_u16_u8(vld1q_u8(row1)));
  }
  MNNLITE_INLINE uint16x8_t blend(uint16x8_t a, uint16x8_t b) const noexcept {
    const uint32x4_t low = vmlal_u16(vmull_u16(vget_low_u16(a), upper), vget_low_u16(b), lower);
    const uint16x8_t both = vcombine_u16(upper, upper), under = vcombine_u16(lower, lower);
    return vrshrn_high_n_u32(vrshrn_n_u32(low, 11), vmlal_high_u16(vmull_high_u16(a, both), b, under), 11);
  }
};

// Pixels of 3 or 4 components, `Step` bytes from one to the next: both neighbours are within 16 bytes.
template <int Count, int Step>
struct WidePixels {
  static constexpr int count = Count, step = Step, load_bytes = 16;

  static MNNLITE_INLINE int32x4_t across(uint16x8_t both, int32_t weights) noexcept {
    const uint16x4_t first = vget_low_u16(both), second = vget_low_u16(vextq_u16(both, both, Step / 2));
    return vreinterpretq_s32_u32(
        vmlal_n_u16(vmull_n_u16(first, static_cast<uint16_t>(weights)), second, static_cast<uint16_t>(weights >> 16)));
  }
  // Four pixels' components into a row for each component.
  static MNNLITE_INLINE void store(const int32x4_t pixel[4], int32_t* const v[4], int32_t x) noexcept {
    const int32x4_t even01 = vtrn1q_s32(pixel[0], pixel[1]), odd01 = vtrn2q_s32(pixel[0], pixel[1]),
                    even23 = vtrn1q_s32(pixel[2], pixel[3]), odd23 = vtrn2q_s32(pixel[2], pixel[3]);
    const auto low = [](int32x4_t a, int32x4_t b) noexcept {
      return vreinterpretq_s32_s64(vtrn1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
    };
    const auto high = [](int32x4_t a, int32x4_t b) noexcept {
      return vreinterpretq_s32_s64(vtrn2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
    };
    vst1q_s32(v[0] + x, low(even01, even23));
    vst1q_s32(v[1] + x, low(odd01, odd23));
    vst1q_s32(v[2] + x, high(even01, even23));
    if constexpr (Count > 3) vst1q_s32(v[3] + x, high(odd01, odd23));
  }
  static MNNLITE_INLINE void sample(const WideRows& rows, const uint8_t* row0, const uint8_t* row1, const Taps& taps,
                                    int32_t x, int32_t* const v[4]) noexcept {
    int32x4_t pixel[4];
    for (int i = 0; i < 4; ++i) {
      const int32_t at = taps.offset[x + i];
      pixel[i] = across(rows.blend(row0 + at, row1 + at), taps.weights[x + i]);
    }
    store(pixel, v, x);
  }
  static MNNLITE_INLINE void warp(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps, int32_t x,
                                  int32_t* const v[4]) noexcept {
    int32x4_t pixel[4];
    for (int i = 0; i < 4; ++i) {
      const uint8_t* upper = plane + taps.offset[x + i];
      pixel[i] = across(WideRows(taps.weights_y[x + i]).blend(upper, upper + to_next_row), taps.weights_x[x + i]);
    }
    store(pixel, v, x);
  }
};

// Gray: the neighbours are 4 bytes, in the order in which the weights lie.
struct WideGray {
  static constexpr int count = 1, step = 2, load_bytes = 4;

  static MNNLITE_INLINE int32x4_t across(uint16x8_t both, const int32_t* weights) noexcept {
    const uint16x8_t w = vreinterpretq_u16_s32(vld1q_s32(weights));
    return vreinterpretq_s32_u32(vpaddq_u32(vmull_u16(vget_low_u16(both), vget_low_u16(w)), vmull_high_u16(both, w)));
  }
  static MNNLITE_INLINE void sample(const WideRows& rows, const uint8_t* row0, const uint8_t* row1, const Taps& taps,
                                    int32_t x, int32_t* const v[4]) noexcept {
    const uint16x8_t upper = vreinterpretq_u16_u8(SamplePairs::four(row0, taps.offset + x)),
                     lower = vreinterpretq_u16_u8(SamplePairs::four(row1, taps.offset + x));
    vst1q_s32(v[0] + x, across(rows.blend(upper, lower), taps.weights + x));
  }
  static MNNLITE_INLINE void warp(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps, int32_t x,
                                  int32_t* const v[4]) noexcept {
    const uint16x8_t a = vreinterpretq_u16_u8(SamplePairs::four(plane, taps.offset + x)),
                     b = vreinterpretq_u16_u8(SamplePairs::four(plane + to_next_row, taps.offset + x));
    const int32x4_t under = vld1q_s32(taps.weights_y + x);
    const int32x4_t each = vorrq_s32(under, vshlq_n_s32(under, 16));  // for both neighbours
    const uint16x8_t lower = vreinterpretq_u16_s32(each), upper = vsubq_u16(vdupq_n_u16(2048), lower);
    const uint32x4_t low =
        vmlal_u16(vmull_u16(vget_low_u16(a), vget_low_u16(upper)), vget_low_u16(b), vget_low_u16(lower));
    const uint32x4_t high = vmlal_high_u16(vmull_high_u16(a, upper), b, lower);
    vst1q_s32(v[0] + x, across(vrshrn_high_n_u32(vrshrn_n_u32(low, 11), high, 11), taps.weights_x + x));
  }
};

template <typename Sample>
MNNLITE_KERNEL void sample_wide_row(const RowPair& pair, const Taps& given, const PrefetchRows&,
                                    int32_t* const v[4]) noexcept {
  constexpr auto scalar_columns = scalar::sample_columns<uint16_t, Sample::count, 2, Sample::step>;
  const Taps taps = given;  // a copy, which no store can change
  const WideRows rows(pair.weight1);
  const uint8_t *const row0 = pair.row0, *const row1 = pair.row1;
  int32_t* const to[4] = {v[0], v[1], v[2], v[3]};
  scalar_columns(pair, taps, 0, taps.wide_begin, to);
  int32_t x = taps.wide_begin;
  for (; x + 4 <= taps.wide_end; x += 4) Sample::sample(rows, row0, row1, taps, x, to);
  scalar_columns(pair, taps, x, taps.count, to);
}

template <typename Sample>
MNNLITE_KERNEL void warp_wide_row(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& given,
                                  int32_t* const v[4]) noexcept {
  constexpr auto scalar_columns = scalar::warp_columns<uint16_t, Sample::count, 2, Sample::step>;
  const WarpTaps taps = given;
  int32_t* const to[4] = {v[0], v[1], v[2], v[3]};
  int32_t x = 0;
  for (; x + 4 <= taps.count; x += 4) {
    uint32_t wide;
    std::memcpy(&wide, taps.wide + x, sizeof wide);
    if (wide == 0x01010101)
      Sample::warp(plane, to_next_row, taps, x, to);
    else
      scalar_columns(plane, to_next_row, taps, x, x + 4, to);
  }
  scalar_columns(plane, to_next_row, taps, x, taps.count, to);
}

// A plane of its own: four taps at a time, the last ones without the weights of the next output. Behind the last weights and
// values lies more of the same scratch.
void reduce_area_plane(const uint16_t* values, const AreaTaps& given, int32_t* v) noexcept {
  static constexpr uint16_t masks[5][4] = {
      {}, {0xffff, 0, 0, 0}, {0xffff, 0xffff, 0, 0}, {0xffff, 0xffff, 0xffff, 0}, {0xffff, 0xffff, 0xffff, 0xffff}};
  const AreaTaps taps = given;
  for (int32_t x = 0; x < taps.count; ++x) {
    const uint16_t *value = values + taps.first[x],
                   *weight = reinterpret_cast<const uint16_t*>(taps.weights + taps.begin[x]);
    int32_t left = taps.begin[x + 1] - taps.begin[x];
    uint32x4_t sum = vdupq_n_u32(0);
    for (; left > 4; left -= 4, value += 4, weight += 4) sum = vmlal_u16(sum, vld1_u16(value), vld1_u16(weight));
    sum = vmlal_u16(sum, vld1_u16(value), vand_u16(vld1_u16(weight), vld1_u16(masks[left])));
    v[x] = static_cast<int32_t>(vaddvq_u32(sum));
  }
}

// Components that lie side by side are summed together.
void reduce_area_lanes(const uint16_t* values, int32_t step, int32_t count, const int32_t at[4], const AreaTaps& given,
                       int32_t* const v[4]) noexcept {
  if (step == 1) return reduce_area_plane(values, given, v[0]);
  const AreaTaps taps = given;
  int32_t* to[4] = {};
  int32_t lane[4] = {};
  for (int32_t c = 0; c < count; ++c) {
    to[c] = v[c];
    lane[c] = at[c];
  }
  const int16_t* weight = taps.weights;
  for (int32_t x = 0; x < taps.count; ++x) {
    const uint16_t* value = values + static_cast<ptrdiff_t>(taps.first[x]) * step;
    const int16_t* const end = taps.weights + taps.begin[x + 1];
    uint32x4_t sum = vdupq_n_u32(0);
    for (; weight != end; ++weight, value += step)
      sum = vmlal_n_u16(sum, vld1_u16(value), static_cast<uint16_t>(*weight));
    uint32_t sums[4];
    vst1q_u32(sums, sum);
    for (int32_t c = 0; c < count; ++c) to[c][x] = static_cast<int32_t>(sums[lane[c]]);
  }
}

// FCVTMS rounds down; FMINNM gives `far` where a position is no number, as the comparison does.
void to_fixed_neon(const double* positions, double units, int32_t count, int32_t* fixed) noexcept {
  const float64x2_t far = vdupq_n_f64(1073741824), half = vdupq_n_f64(0.5);
  const auto two = [&](const double* from) noexcept {
    const float64x2_t scaled = vaddq_f64(vmulq_n_f64(vld1q_f64(from), units), half);
    return vreinterpretq_s32_s64(vcvtmq_s64_f64(vmaxnmq_f64(vminnmq_f64(scaled, far), vnegq_f64(far))));
  };
  int32_t i = 0;
  for (; i + 4 <= count; i += 4) vst1q_s32(fixed + i, vuzp1q_s32(two(positions + i), two(positions + i + 2)));
  to_fixed(positions + i, units, count - i, fixed + i);
}

template <typename Sample>
constexpr void set_wide(Kernels& kernels, Kind kind) noexcept {
  const int at = static_cast<int>(kind);
  kernels.sample[at] = sample_wide_row<Sample>;
  kernels.warp[at] = warp_wide_row<Sample>;
  kernels.load_bytes[at] = Sample::load_bytes;
}

constexpr Kernels written_by_hand(Kernels kernels) noexcept {
  kernels.to_fixed = to_fixed_neon;
  kernels.area_reduce = reduce_area_lanes;
  set_wide<WideGray>(kernels, Kind::wide1);
  set_wide<WidePixels<3, 6>>(kernels, Kind::wide3);
  set_wide<WidePixels<3, 8>>(kernels, Kind::wide3s4);
  set_wide<WidePixels<4, 8>>(kernels, Kind::wide4);
  return kernels;
}

}  // namespace

const Kernels kNeonKernels = written_by_hand(vector_kernels(Isa::neon));

}  // namespace mnnlite::image

#endif  // __aarch64__
