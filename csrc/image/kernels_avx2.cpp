// Kernels for AVX2 with F16C: eight outputs at a time.
//
// Data sheet. Sampling is a gather: per output and row, one load of the 8 (gray 2, chroma pairs 4) bytes that hold both
// neighbours. Shuffles bring the four bytes around each output of a component together, PMADDUBSW and PMULHRSW blend the
// rows in 16-bit lanes (see Rows), PMADDWD blends across: 32640 * 2048 < 2^26; see kernels_scalar.hpp for the bounds.
// Loads are broadcasts joined by blends because both leave the shuffle ports free.
// Bound: 47 vector operations for 8 outputs of 3 channels on 4 ports, 17 vector and 4 scalar loads on 2: some 1.5 cycles an
// output. Measured on Zen 4 in November 2026, from cache: 2.2; of loading and computing in one step 3.0. AVX-512 with the
// same steps, 16 outputs at a time: 2.8. It is not worth a table of its own.
// No FMA: one multiplication and one addition, so that the bits are the baseline's.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_lanes.hpp"
#include "image/kernels_scalar.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,f16c")

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

MNNLITE_INLINE int32_t load_i32(const void* p) noexcept {
  int32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

MNNLITE_INLINE __m256i load_8x32(const int32_t* p) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

MNNLITE_INLINE uint32_t load_u16(const uint8_t* p) noexcept {
  uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// Eight offsets, which are not negative, by four loads: loads are what the gathers wait for. Not a loop, which the compiler
// would turn into vector code that has to be taken apart again.
struct Offsets {
  uint64_t at[8];
  explicit MNNLITE_INLINE Offsets(const int32_t* p) noexcept {
    two(p, at[0], at[1]);
    two(p + 2, at[2], at[3]);
    two(p + 4, at[4], at[5]);
    two(p + 6, at[6], at[7]);
  }
  static MNNLITE_INLINE void two(const int32_t* p, uint64_t& first, uint64_t& second) noexcept {
    uint64_t both;
    std::memcpy(&both, p, sizeof both);
    first = static_cast<uint32_t>(both);
    second = both >> 32;
  }
};

MNNLITE_INLINE int64_t load_i64(const void* p) noexcept {
  int64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

MNNLITE_INLINE __m256i broadcast_8_bytes(const uint8_t* p) noexcept { return _mm256_set1_epi64x(load_i64(p)); }

// What blends rows: interleaved bytes (upper, lower) give S = 64 (upper + lower) and D = 64 (lower - upper); with
// w' = 32 (w - 1024) in 16 signed bits S + ((D w' + 2^14) >> 15) is (upper (2048 - w) + lower w + 8) >> 4, exactly.
struct Rows {
  const __m256i sum, difference, weight;
  explicit MNNLITE_INLINE Rows(int32_t weight1) noexcept
      : sum(_mm256_set1_epi8(64)), difference(_mm256_set1_epi16(0x40c0)), weight(_mm256_set1_epi16(static_cast<int16_t>((weight1 - 1024) * 32))) {}
  // Eight lower rows' weights, for maps where every output has its own.
  explicit MNNLITE_INLINE Rows(__m256i weights1) noexcept
      : sum(_mm256_set1_epi8(64)), difference(_mm256_set1_epi16(0x40c0)), weight(both_halves(weights1)) {}
  static MNNLITE_INLINE __m256i both_halves(__m256i weights1) noexcept {
    const __m256i low = _mm256_slli_epi32(_mm256_sub_epi32(weights1, _mm256_set1_epi32(1024)), 5);
    return _mm256_blend_epi16(low, _mm256_slli_epi32(low, 16), 0xaa);
  }
  MNNLITE_INLINE __m256i blend(__m256i pairs) const noexcept {
    const __m256i part = _mm256_mulhrs_epi16(_mm256_maddubs_epi16(pairs, difference), weight);
    return _mm256_add_epi16(_mm256_maddubs_epi16(pairs, sum), part);
  }
};

// PSHUFB masks, worked out by the compiler: left to itself it may do so on every row.
struct alignas(32) Mask {
  int8_t bytes[32] = {};
  MNNLITE_INLINE __m256i load() const noexcept { return _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes)); }
};

// For a 128-bit lane of 8 bytes of the upper and 8 of the lower row: a 32-bit lane for each component with its upper and
// lower first neighbour and its upper and lower second neighbour.
template <Kind kind>
constexpr Mask quad_mask() noexcept {
  Mask mask;
  for (int at = 0; at < 32; ++at) {
    const int c = at % 16 / 4;
    const int from = at % 4 < 2 ? Lanes<kind>::first[c] : Lanes<kind>::second[c];
    mask.bytes[at] = static_cast<int8_t>(from < 0 ? -1 : from + at % 2 * 8);
  }
  return mask;
}

// For 8 blended components: a 32-bit lane for each with its first and its second neighbour.
template <Kind kind>
constexpr Mask pair_mask() noexcept {
  Mask mask;
  for (int at = 0; at < 32; ++at) {
    const int c = at % 16 / 4;
    const int from = at % 4 < 2 ? Lanes<kind>::first[c] : Lanes<kind>::second[c];
    mask.bytes[at] = static_cast<int8_t>(from < 0 ? -1 : from * 2 + at % 2);
  }
  return mask;
}

// What lies around outputs k and k + 4, one in each 128-bit lane, components in 32-bit lanes.
template <int k>
MNNLITE_INLINE __m256i load_two(const uint8_t* row0, const uint8_t* row1, const Offsets& offsets, __m256i quads) noexcept {
  const uint64_t a = offsets.at[k], b = offsets.at[k + 4];
  const __m256i upper = _mm256_blend_epi32(broadcast_8_bytes(row0 + a), broadcast_8_bytes(row0 + b), 0x30);
  const __m256i lower = _mm256_blend_epi32(broadcast_8_bytes(row1 + a), broadcast_8_bytes(row1 + b), 0xc0);
  return _mm256_shuffle_epi8(_mm256_blend_epi32(upper, lower, 0xcc), quads);
}

// Eight outputs, as a Sample finds them: a register for each component, in every 32-bit lane the upper and lower first
// neighbour and the upper and lower second neighbour. `load` does the loads and shuffles, what follows is the same for all.
template <int Count>
struct Quads {
  __m256i component[Count];
};

// Neighbours in 8 bytes.
template <Kind kind>
struct SampleWide {
  static constexpr int count = Lanes<kind>::count;
  static constexpr int load_bytes = 8;
  static constexpr Mask mask = quad_mask<kind>();
  const __m256i quads;

  // Written out: a constructor that the compiler makes would not belong to the target region.
  inline SampleWide() noexcept : quads(mask.load()) {}

  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<count>& out) const noexcept {
    const Offsets offsets(offset);
    const __m256i p0 = load_two<0>(row0, row1, offsets, quads), p1 = load_two<1>(row0, row1, offsets, quads);
    const __m256i p2 = load_two<2>(row0, row1, offsets, quads), p3 = load_two<3>(row0, row1, offsets, quads);
    const __m256i c01_a = _mm256_unpacklo_epi32(p0, p1), c01_b = _mm256_unpacklo_epi32(p2, p3);
    out.component[0] = _mm256_unpacklo_epi64(c01_a, c01_b);
    out.component[1] = _mm256_unpackhi_epi64(c01_a, c01_b);
    if constexpr (count > 2) {
      const __m256i c23_a = _mm256_unpackhi_epi32(p0, p1), c23_b = _mm256_unpackhi_epi32(p2, p3);
      out.component[2] = _mm256_unpacklo_epi64(c23_a, c23_b);
      if constexpr (count > 3) out.component[3] = _mm256_unpackhi_epi64(c23_a, c23_b);
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
  static MNNLITE_INLINE int64_t two(const uint8_t* row0, const uint8_t* row1, uint64_t a, uint64_t b) noexcept {
    return static_cast<int64_t>(neighbours(row0 + a, row1 + a) | neighbours(row0 + b, row1 + b) << 32);
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<1>& out) const noexcept {
    const Offsets offsets(offset);
    const uint64_t* at = offsets.at;
    const __m256i both = _mm256_set_epi64x(two(row0, row1, at[6], at[7]), two(row0, row1, at[4], at[5]),
                                           two(row0, row1, at[2], at[3]), two(row0, row1, at[0], at[1]));
    const __m256i swap = _mm256_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15, 0, 2, 1, 3, 4, 6, 5, 7, 8,
                                          10, 9, 11, 12, 14, 13, 15);
    out.component[0] = _mm256_shuffle_epi8(both, swap);
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2;
  static constexpr int load_bytes = 4;

  static MNNLITE_INLINE __m128i two(const uint8_t* row0, const uint8_t* row1, uint64_t a, uint64_t b) noexcept {
    __m128i bytes = _mm_cvtsi32_si128(load_i32(row0 + a));
    bytes = _mm_insert_epi32(bytes, load_i32(row1 + a), 1);
    bytes = _mm_insert_epi32(bytes, load_i32(row0 + b), 2);
    return _mm_insert_epi32(bytes, load_i32(row1 + b), 3);
  }
  MNNLITE_INLINE void load(const uint8_t* row0, const uint8_t* row1, const int32_t* offset, Quads<2>& out) const noexcept {
    const Offsets offsets(offset);
    const uint64_t* at = offsets.at;
    const __m256i quads = _mm256_setr_epi8(0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15, 0, 4, 2, 6, 1, 5, 3, 7, 8,
                                           12, 10, 14, 9, 13, 11, 15);
    // Outputs 0, 1, 4, 5 and 2, 3, 6, 7; one more shuffle puts all of a component in order.
    const __m256i front = _mm256_set_m128i(two(row0, row1, at[4], at[5]), two(row0, row1, at[0], at[1]));
    const __m256i back = _mm256_set_m128i(two(row0, row1, at[6], at[7]), two(row0, row1, at[2], at[3]));
    const __m256 a = _mm256_castsi256_ps(_mm256_shuffle_epi8(front, quads));
    const __m256 b = _mm256_castsi256_ps(_mm256_shuffle_epi8(back, quads));
    out.component[0] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
    out.component[1] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
  }
};

// Runs over [begin, end) of `count` columns in groups of eight, the last one moved back to end in time: load(x, quads) and
// then use(x, quads); single(begin, end) does the columns that vector code must not touch.
// A group is loaded while the one before is computed. Without that the chain from offset to store, some 40 cycles, fills
// the vector scheduler with waiting operations; with it the loop is a fifth faster.
template <int Components, typename Load, typename Use, typename Single>
MNNLITE_INLINE void cover(int32_t begin, int32_t end, int32_t count, Load load, Use use, Single single) noexcept {
  if (end - begin < 8) {
    single(0, count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  Quads<Components> current;
  load(x, current);
  for (; x + 16 <= end; x += 8) {
    Quads<Components> next;
    load(x + 8, next);
    use(x, current);
    current = next;
  }
  use(x, current);
  if (x + 8 < end) {
    load(end - 8, current);
    use(end - 8, current);
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
        const __m256i weights_x = load_8x32(weights + x);
        for (int c = 0; c < Sample::count; ++c)
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(to[c] + x),
                              _mm256_madd_epi16(rows.blend(quads.component[c]), weights_x));
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
  __m256 k[Sample::count], b[Sample::count];
  float* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) {
    k[c] = _mm256_set1_ps(scale[c]);
    b[c] = _mm256_set1_ps(bias[c]);
    to[c] = out[c];
  }
  const int32_t* const weights = taps.weights;
  const int32_t* const offset = taps.offset;
  const Sample sample;
  cover<Sample::count>(
      taps.wide_begin, taps.wide_end, taps.count,
      [&](int32_t x, Quads<Sample::count>& quads) { sample.load(row0, row1, offset + x, quads); },
      [&](int32_t x, const Quads<Sample::count>& quads) {
        const __m256i weights_x = load_8x32(weights + x);
        for (int c = 0; c < Sample::count; ++c) {
          const __m256i v = _mm256_madd_epi16(rows.blend(quads.component[c]), weights_x);
          const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(v), k[c]);
          _mm256_storeu_ps(to[c] + x, Biased ? _mm256_add_ps(scaled, b[c]) : scaled);
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

template <typename Sample, int Spacing, int Step>
MNNLITE_KERNEL void warp_row(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps, int32_t* const v[4]) noexcept {
  const Sample sample;
  const auto group = [&](int32_t x) {
    int64_t wide;
    std::memcpy(&wide, taps.wide + x, sizeof wide);
    if (wide != 0x0101010101010101) {
      scalar::warp_columns<uint8_t, Sample::count, Spacing, Step>(plane, to_next_row, taps, x, x + 8, v);
      return;
    }
    Quads<Sample::count> quads;
    sample.load(plane, plane + to_next_row, taps.offset + x, quads);
    const Rows rows(load_8x32(taps.weights_y + x));
    const __m256i weights_x = load_8x32(taps.weights_x + x);
    for (int c = 0; c < Sample::count; ++c)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(v[c] + x),
                          _mm256_madd_epi16(rows.blend(quads.component[c]), weights_x));
  };
  if (taps.count < 8) {
    scalar::warp_columns<uint8_t, Sample::count, Spacing, Step>(plane, to_next_row, taps, 0, taps.count, v);
    return;
  }
  for (int32_t x = 0; x + 8 <= taps.count; x += 8) group(x);
  if (taps.count % 8 != 0) group(taps.count - 8);
}

// All of two rows, sixteen bytes at a time, the last ones moved back to end in time.
void blend_bytes(const uint8_t* row0, const uint8_t* row1, int32_t weight1, int32_t bytes, int16_t* t) noexcept {
  const Rows rows(weight1);
  const auto blend = [&](int32_t i) {
    const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row0 + i));
    const __m128i lower = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row1 + i));
    const __m256i pairs = _mm256_set_m128i(_mm_unpackhi_epi8(upper, lower), _mm_unpacklo_epi8(upper, lower));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(t + i), rows.blend(pairs));
  };
  if (bytes < 16) {
    for (int32_t i = 0; i < bytes; ++i)
      t[i] = static_cast<int16_t>((row0[i] * (2048 - weight1) + row1[i] * weight1 + 8) >> 4);
    return;
  }
  for (int32_t i = 0; i + 16 <= bytes; i += 16) blend(i);
  if (bytes % 16 != 0) blend(bytes - 16);
}

template <int k>
MNNLITE_INLINE __m256i load_pairs(const int16_t* t, const Offsets& offsets, __m256i pairs) noexcept {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(t + offsets.at[k]));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(t + offsets.at[k + 4]));
  return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), pairs);
}

// Every column is read wide: t is scratch, and long enough.
template <Kind kind>
MNNLITE_KERNEL void across_f32(const int16_t* t, const Taps& taps, const float scale[4], const float bias[4],
                float* const out[4]) noexcept {
  constexpr int count = Lanes<kind>::count;
  static constexpr Mask mask = pair_mask<kind>();
  const __m256i pairs = mask.load();
  __m256 k[count], b[count];
  float* to[count];
  for (int c = 0; c < count; ++c) {
    k[c] = _mm256_set1_ps(scale[c]);
    b[c] = _mm256_set1_ps(bias[c]);
    to[c] = out[c];
  }
  const int32_t *const offset = taps.offset, *const weights = taps.weights;
  cover<count>(
      0, taps.count, taps.count,
      [&](int32_t x, Quads<count>& quads) {
        const Offsets offsets(offset + x);
        const __m256i p0 = load_pairs<0>(t, offsets, pairs), p1 = load_pairs<1>(t, offsets, pairs);
        const __m256i p2 = load_pairs<2>(t, offsets, pairs), p3 = load_pairs<3>(t, offsets, pairs);
        const __m256i c01_a = _mm256_unpacklo_epi32(p0, p1), c01_b = _mm256_unpacklo_epi32(p2, p3);
        quads.component[0] = _mm256_unpacklo_epi64(c01_a, c01_b);
        quads.component[1] = _mm256_unpackhi_epi64(c01_a, c01_b);
        const __m256i c23_a = _mm256_unpackhi_epi32(p0, p1), c23_b = _mm256_unpackhi_epi32(p2, p3);
        quads.component[2] = _mm256_unpacklo_epi64(c23_a, c23_b);
        if constexpr (count > 3) quads.component[3] = _mm256_unpackhi_epi64(c23_a, c23_b);
      },
      [&](int32_t x, const Quads<count>& quads) {
        const __m256i weights_x = load_8x32(weights + x);
        for (int c = 0; c < count; ++c) {
          const __m256 v = _mm256_cvtepi32_ps(_mm256_madd_epi16(quads.component[c], weights_x));
          _mm256_storeu_ps(to[c] + x, _mm256_add_ps(_mm256_mul_ps(v, k[c]), b[c]));
        }
      },
      [&](int32_t begin, int32_t end) {
        for (int32_t x = begin; x < end; ++x)
          for (int c = 0; c < count; ++c) {
            const int32_t w0 = weights[x] & 0xffff, w1 = weights[x] >> 16;
            const int16_t* at = t + offset[x];
            const int32_t v = at[Lanes<kind>::first[c]] * w0 + at[Lanes<kind>::second[c]] * w1;
            to[c][x] = static_cast<float>(v) * scale[c] + bias[c];
          }
      });
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
MNNLITE_INLINE __m256i pair_of(int32_t low, int32_t high) noexcept {
  return _mm256_set1_epi32(static_cast<int32_t>((static_cast<uint32_t>(low) & 0xffff) | static_cast<uint32_t>(high) << 16));
}

// Sampled values v < 2^26 are cut to 15 bits and multiplied in pairs of luma and one chroma; what is subtracted from them
// in the definition is multiplied out into one constant a channel, exactly.
class YuvToFloats {
 public:
  MNNLITE_INLINE YuvToFloats(const YuvMatrix& m, const float scale[3], const float bias[3], float* const out[3]) noexcept
      : red_(pair_of(m.luma, m.red_v)),
        green_u_(pair_of(m.luma, m.green_u)),
        green_v_(pair_of(0, m.green_v)),
        blue_(pair_of(m.luma, m.blue_u)),
        from_red_(constant(m, m.red_v)),
        from_green_(constant(m, m.green_u + m.green_v)),
        from_blue_(constant(m, m.blue_u)),
        top_(_mm256_set1_epi32(255 << 20)) {
    for (int c = 0; c < 3; ++c) {
      k_[c] = _mm256_set1_ps(scale[c]);
      b_[c] = _mm256_set1_ps(bias[c]);
      to_[c] = out[c];
    }
  }
  MNNLITE_INLINE void store(int32_t x, __m256i luma, __m256i u, __m256i v) const noexcept {
    const __m256i y = _mm256_srli_epi32(luma, 11);
    const __m256i yu = _mm256_blend_epi16(y, _mm256_slli_epi32(u, 5), 0xaa);
    const __m256i yv = _mm256_blend_epi16(y, _mm256_slli_epi32(v, 5), 0xaa);
    const __m256i green = _mm256_add_epi32(_mm256_madd_epi16(yu, green_u_), _mm256_madd_epi16(yv, green_v_));
    const __m256i rgb[3] = {_mm256_add_epi32(_mm256_madd_epi16(yv, red_), from_red_), _mm256_add_epi32(green, from_green_),
                            _mm256_add_epi32(_mm256_madd_epi16(yu, blue_), from_blue_)};
    for (int c = 0; c < 3; ++c) {
      const __m256i level = _mm256_min_epi32(_mm256_max_epi32(rgb[c], _mm256_setzero_si256()), top_);
      _mm256_storeu_ps(to_[c] + x, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(level), k_[c]), b_[c]));
    }
  }

 private:
  static MNNLITE_INLINE __m256i constant(const YuvMatrix& m, int32_t chroma) noexcept {
    return _mm256_set1_epi32(-(m.black << 7) * m.luma - (128 << 7) * chroma);
  }
  __m256i red_, green_u_, green_v_, blue_, from_red_, from_green_, from_blue_, top_;
  __m256 k_[3], b_[3];
  float* to_[3];
};

template <typename Chroma>
MNNLITE_KERNEL void yuv_row_f32(const YuvRows& rows, const Taps& luma, const Taps& chroma, const YuvMatrix& m, const float scale[3],
                 const float bias[3], float* const out[3]) noexcept {
  const Rows luma_rows(rows.luma_weight1), chroma_rows(rows.chroma_weight1);
  const YuvToFloats floats(m, scale, bias, out);
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
        const __m256i weights_c = load_8x32(chroma_weights + x);
        floats.store(x, _mm256_madd_epi16(luma_rows.blend(quads.component[0]), load_8x32(luma_weights + x)),
                     _mm256_madd_epi16(chroma_rows.blend(quads.component[1]), weights_c),
                     _mm256_madd_epi16(chroma_rows.blend(quads.component[2]), weights_c));
      },
      [&](int32_t begin, int32_t end) { Chroma::columns(rows, luma, chroma, m, begin, end, scale, bias, out); });
}

// Pairs of neighbours of a blended plane, eight in order.
MNNLITE_INLINE __m256i gather_pairs(const int16_t* t, const int32_t* offset) noexcept {
  const Offsets offsets(offset);
  const uint64_t* at = offsets.at;
  const auto four = [&](int i) {
    __m128i pairs = _mm_cvtsi32_si128(load_i32(t + at[i]));
    pairs = _mm_insert_epi32(pairs, load_i32(t + at[i + 1]), 1);
    pairs = _mm_insert_epi32(pairs, load_i32(t + at[i + 2]), 2);
    return _mm_insert_epi32(pairs, load_i32(t + at[i + 3]), 3);
  };
  return _mm256_set_m128i(four(4), four(0));
}

// Chroma of the second of two steps.
struct PlanesAcross {
  static MNNLITE_INLINE void load(const YuvBlended& rows, const int32_t* offset, Quads<3>& out) noexcept {
    out.component[1] = gather_pairs(rows.first, offset);
    out.component[2] = gather_pairs(rows.second, offset);
  }
  static MNNLITE_INLINE int32_t at(const YuvBlended& rows, int32_t offset, int32_t w0, int32_t w1, bool second) noexcept {
    const int16_t* t = (second ? rows.second : rows.first) + offset;
    return t[0] * w0 + t[1] * w1;
  }
};
struct PairsAcross {
  static MNNLITE_INLINE void load(const YuvBlended& rows, const int32_t* offset, Quads<3>& out) noexcept {
    const Offsets offsets(offset);
    const uint64_t* at = offsets.at;
    const auto two = [&](int i) {
      return _mm_set_epi64x(load_i64(rows.first + at[i + 1]), load_i64(rows.first + at[i]));
    };
    const __m256i pairs = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2, 3, 6, 7, 8,
                                           9, 12, 13, 10, 11, 14, 15);
    const __m256 front = _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_set_m128i(two(4), two(0)), pairs));
    const __m256 back = _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_set_m128i(two(6), two(2)), pairs));
    out.component[1] = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0x88));
    out.component[2] = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0xdd));
  }
  static MNNLITE_INLINE int32_t at(const YuvBlended& rows, int32_t offset, int32_t w0, int32_t w1, bool second) noexcept {
    const int16_t* t = rows.first + offset + (second ? 1 : 0);
    return t[0] * w0 + t[2] * w1;
  }
};

template <typename Chroma>
MNNLITE_KERNEL void yuv_across_f32(const YuvBlended& rows, const Taps& luma, const Taps& chroma, const YuvMatrix& m,
                    const float scale[3], const float bias[3], float* const out[3]) noexcept {
  const YuvToFloats floats(m, scale, bias, out);
  const int32_t *const luma_at = luma.offset, *const chroma_at = chroma.offset;
  const int32_t *const luma_weights = luma.weights, *const chroma_weights = chroma.weights;
  cover<3>(
      0, luma.count, luma.count,
      [&](int32_t x, Quads<3>& quads) {
        quads.component[0] = gather_pairs(rows.luma, luma_at + x);
        Chroma::load(rows, chroma_at + x, quads);
      },
      [&](int32_t x, const Quads<3>& quads) {
        const __m256i weights_c = load_8x32(chroma_weights + x);
        floats.store(x, _mm256_madd_epi16(quads.component[0], load_8x32(luma_weights + x)),
                     _mm256_madd_epi16(quads.component[1], weights_c), _mm256_madd_epi16(quads.component[2], weights_c));
      },
      [&](int32_t begin, int32_t end) {
        for (int32_t x = begin; x < end; ++x) {
          const int32_t w0 = luma_weights[x] & 0xffff, w1 = luma_weights[x] >> 16;
          const int32_t c0 = chroma_weights[x] & 0xffff, c1 = chroma_weights[x] >> 16;
          const int32_t y = rows.luma[luma_at[x]] * w0 + rows.luma[luma_at[x] + 1] * w1;
          scalar::store_yuv_f32(y, Chroma::at(rows, chroma_at[x], c0, c1, false), Chroma::at(rows, chroma_at[x], c0, c1, true),
                                m, scale, bias, out, x);
        }
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
    {sample_row<SampleGray<1>, 1, 1>, sample_row<SampleGray<2>, 1, 2>,
     sample_row<SamplePairs, 1, 2>, sample_row<SampleWide<Kind::c2s4>, 2, 4>,
     sample_row<SampleWide<Kind::c3s3>, 1, 3>, sample_row<SampleWide<Kind::c3s4>, 1, 4>,
     sample_row<SampleWide<Kind::c4s4>, 1, 4>, scalar::sample_row<uint16_t, 1, 2, 2>,
     scalar::sample_row<uint16_t, 3, 2, 6>, scalar::sample_row<uint16_t, 3, 2, 8>,
     scalar::sample_row<uint16_t, 4, 2, 8>},
    {sample_row_f32<SampleGray<1>, 1, 1>, nullptr, nullptr, nullptr,
     sample_row_f32<SampleWide<Kind::c3s3>, 1, 3>, sample_row_f32<SampleWide<Kind::c3s4>, 1, 4>,
     sample_row_f32<SampleWide<Kind::c4s4>, 1, 4>, nullptr, nullptr, nullptr, nullptr},
    blend_bytes,
    {nullptr, nullptr, nullptr, nullptr, across_f32<Kind::c3s3>, across_f32<Kind::c3s4>, across_f32<Kind::c4s4>, nullptr,
     nullptr, nullptr, nullptr},
    {yuv_row_f32<ChromaPairs>, yuv_row_f32<ChromaPlanes>, yuv_row_f32<ChromaPacked>},
    {yuv_across_f32<PairsAcross>, yuv_across_f32<PlanesAcross>, nullptr},
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

#pragma GCC pop_options

#endif  // __x86_64__
