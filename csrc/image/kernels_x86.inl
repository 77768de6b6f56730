// What SSE4.1 and AVX2 have in common, in words that each of them says for its registers: 128-bit blocks side by side. No
// include guard and no includes, as kernels_stream.inl.
//
// Data sheet. Shuffles bring the four bytes around each output of a component together, PMADDUBSW and PMULHRSW blend the
// rows in 16-bit elements (see Rows), PMADDWD blends across: 32640 * 2048 < 2^26; see kernels_scalar.hpp for the bounds.
// NV12 in windows of four: 56 vector operations for 8 outputs. Zen 4, November 2026: 0.9 ns an output, 1.25 in windows of two.

// Outputs as they are loaded: a register for each component, in every 32-bit element the upper and lower first neighbour and
// the upper and lower second neighbour.
template <int Count>
struct Quads {
  Ints component[Count];
};

// What blends rows: interleaved bytes (upper, lower) give S = 64 (upper + lower) and D = 64 (lower - upper); with
// w' = 32 (w - 1024) in 16 signed bits S + ((D w' + 2^14) >> 15) is (upper (2048 - w) + lower w + 8) >> 4, exactly.
struct Rows {
  const Ints sum, difference, weight;
  explicit MNNLITE_INLINE Rows(int32_t weight1) noexcept : Rows(each16((weight1 - 1024) * 32), 0) {}
  MNNLITE_INLINE Ints blend(Ints pairs) const noexcept {
    return add16(madd8(pairs, sum), high_rounded16(madd8(pairs, difference), weight));
  }

 protected:
  MNNLITE_INLINE Rows(Ints weights, int) noexcept : sum(each8(64)), difference(each16(0x40c0)), weight(weights) {}
};
struct OwnRows : Rows {
  explicit MNNLITE_INLINE OwnRows(const int32_t* weights1) noexcept : Rows(both_halves(load(weights1)), 0) {}
  static MNNLITE_INLINE Ints both_halves(Ints weights1) noexcept {
    const Ints low = left32<5>(sub32(weights1, each32(1024)));
    return join16<0xaa>(low, left32<16>(low));
  }
};

struct Columns {
  const Ints weights;
  explicit MNNLITE_INLINE Columns(const int32_t* pairs) noexcept : weights(load(pairs)) {}
};

MNNLITE_INLINE Ints sampled(const Rows& rows, Ints quad, const Columns& columns) noexcept {
  return madd16(rows.blend(quad), columns.weights);
}

// 16 bytes from starts[0] on in the first 128-bit block, from starts[of_a_block] on in the second.
template <int of_a_block>
MNNLITE_INLINE Ints windows(const uint8_t* row, const int32_t* starts) noexcept {
  return by_block(
      [&](int block) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + starts[block * of_a_block])); });
}

// A window lies in each 128-bit block, or two share one after the shuffle; a shuffle of each row brings every byte where it
// belongs twice, and a blend takes the even ones from the upper row and the odd ones from the lower.
template <int per_window, int count, int spacing>
MNNLITE_INLINE void load_windows(const uint8_t* row0, const uint8_t* row1, const int32_t* starts,
                                 const uint32_t* shuffle_masks, Quads<count>& quads) noexcept {
  const Ints shuffle_mask = load(shuffle_masks), odd = each16(0xff00);
  if constexpr (per_window == 4) {
    const Ints upper = windows<1>(row0, starts), lower = windows<1>(row1, starts);
    for (int c = 0; c < count; ++c) {
      const Ints at = add8(shuffle_mask, each8(c * spacing));
      quads.component[c] = by_sign8(bytes_of(upper, at), bytes_of(lower, at), odd);
    }
  } else {
    const Ints upper_a = windows<2>(row0, starts), upper_b = windows<2>(row0, starts + 1);
    const Ints lower_a = windows<2>(row1, starts), lower_b = windows<2>(row1, starts + 1);
    // Two components of two outputs fill a 32-bit element.
    const Ints mask_a = order32<0x44>(shuffle_mask), mask_b = order32<0xee>(shuffle_mask);
    for (int c = 0; c + 1 < count; c += 2) {
      const Ints next = low64(each8(c * spacing), each8((c + 1) * spacing));
      const Ints at_a = add8(mask_a, next), at_b = add8(mask_b, next);
      const Ints a = by_sign8(bytes_of(upper_a, at_a), bytes_of(lower_a, at_a), odd);
      const Ints b = by_sign8(bytes_of(upper_b, at_b), bytes_of(lower_b, at_b), odd);
      quads.component[c] = low64(a, b);
      quads.component[c + 1] = high64(a, b);
    }
    if constexpr (count % 2 != 0) {
      const Ints at = add8(shuffle_mask, each8((count - 1) * spacing));
      const Ints upper = join16<0xf0>(bytes_of(upper_a, at), bytes_of(upper_b, at));
      const Ints lower = join16<0xf0>(bytes_of(lower_a, at), bytes_of(lower_b, at));
      quads.component[count - 1] = by_sign8(upper, lower, odd);
    }
  }
}

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

// Offsets, which are not negative, two at a load: loads are what the gathers wait for. Not a loop, which the compiler would
// turn into vector code that has to be taken apart again.
struct Offsets {
  uint64_t at[kGroupOutputs];
  explicit MNNLITE_INLINE Offsets(const int32_t* p) noexcept {
    two(p, at[0], at[1]);
    two(p + 2, at[2], at[3]);
    if constexpr (kGroupOutputs > 4) {
      two(p + 4, at[4], at[5]);
      two(p + 6, at[6], at[7]);
    }
  }
  static MNNLITE_INLINE void two(const int32_t* p, uint64_t& first, uint64_t& second) noexcept {
    uint64_t both;
    std::memcpy(&both, p, sizeof both);
    first = static_cast<uint32_t>(both);
    second = both >> 32;
  }
};

// PSHUFB masks, worked out by the compiler: left to itself it may do so on every row.
struct alignas(32) Mask {
  int8_t bytes[32] = {};
};
// For a 128-bit block of 8 bytes of the upper and 8 of the lower row: a 32-bit element for each component.
template <Kind kind>
constexpr Mask quad_mask() noexcept {
  Mask mask;
  for (int at = 0; at < 32; ++at) {
    const int c = at % 16 / 4, first = c * ComponentBytes<kind>::spacing, second = first + ComponentBytes<kind>::step;
    mask.bytes[at] =
        static_cast<int8_t>(c >= ComponentBytes<kind>::count ? -1 : (at % 4 < 2 ? first : second) + at % 2 * 8);
  }
  return mask;
}

// Neighbours in 8 bytes.
template <Kind kind>
struct SampleWide {
  static constexpr int count = ComponentBytes<kind>::count, spacing = ComponentBytes<kind>::spacing,
                       step = ComponentBytes<kind>::step;
  static constexpr int load_bytes = 8;
  static constexpr Mask mask = quad_mask<kind>();
  const Ints order;

  // Written out: a constructor that the compiler makes would not belong to the target region.
  MNNLITE_INLINE SampleWide() noexcept : order(load(mask.bytes)) {}

  MNNLITE_INLINE void gather(const uint8_t* row0, const uint8_t* row1, const int32_t* offset,
                             Quads<count>& quads) const noexcept {
    const Offsets offsets(offset);
    const Ints p0 = bytes_of(load_pixels(row0, row1, offsets.at), order),
               p1 = bytes_of(load_pixels(row0, row1, offsets.at + 1), order);
    const Ints p2 = bytes_of(load_pixels(row0, row1, offsets.at + 2), order),
               p3 = bytes_of(load_pixels(row0, row1, offsets.at + 3), order);
    const Ints c01_a = low32(p0, p1), c01_b = low32(p2, p3);
    quads.component[0] = low64(c01_a, c01_b);
    quads.component[1] = high64(c01_a, c01_b);
    if constexpr (count > 2) {
      const Ints c23_a = high32(p0, p1), c23_b = high32(p2, p3);
      quads.component[2] = low64(c23_a, c23_b);
      if constexpr (count > 3) quads.component[3] = high64(c23_a, c23_b);
    }
  }
};

// Gray or luma: the neighbours are two bytes, or with step 2 (YUYV) the first and third of three. The integer units put
// them together while the vector units compute.
template <int Step>
struct SampleGray {
  static constexpr int count = 1, spacing = 1, step = Step;
  static constexpr int load_bytes = Step + 1;
  const Ints order;

  MNNLITE_INLINE SampleGray() noexcept
      : order(by_block([](int) { return _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15); })) {}

  static MNNLITE_INLINE uint64_t neighbours(const uint8_t* upper, const uint8_t* lower) noexcept {
    if constexpr (Step == 1) return load_u16(upper) | static_cast<uint64_t>(load_u16(lower)) << 16;
    return upper[0] | upper[2] << 8 | lower[0] << 16 | static_cast<uint64_t>(lower[2]) << 24;
  }
  static MNNLITE_INLINE int64_t two(const uint8_t* row0, const uint8_t* row1, uint64_t a, uint64_t b) noexcept {
    return static_cast<int64_t>(neighbours(row0 + a, row1 + a) | neighbours(row0 + b, row1 + b) << 32);
  }
  MNNLITE_INLINE void gather(const uint8_t* row0, const uint8_t* row1, const int32_t* offset,
                             Quads<1>& quads) const noexcept {
    const Offsets offsets(offset);
    const Ints both = by_block([&](int block) {
      const uint64_t* at = offsets.at + 4 * block;
      return _mm_set_epi64x(two(row0, row1, at[2], at[3]), two(row0, row1, at[0], at[1]));
    });
    quads.component[0] = bytes_of(both, order);
  }
};

// Interleaved chroma: two components of two neighbours are four bytes.
struct SamplePairs {
  static constexpr int count = 2, spacing = 1, step = 2;
  static constexpr int load_bytes = 4;
  const Ints order;

  MNNLITE_INLINE SamplePairs() noexcept
      : order(by_block([](int) { return _mm_setr_epi8(0, 4, 2, 6, 8, 12, 10, 14, 1, 5, 3, 7, 9, 13, 11, 15); })) {}

  static MNNLITE_INLINE __m128i two(const uint8_t* row0, const uint8_t* row1, const uint64_t at[2]) noexcept {
    __m128i bytes = _mm_cvtsi32_si128(load_i32(row0 + at[0]));
    bytes = _mm_insert_epi32(bytes, load_i32(row1 + at[0]), 1);
    bytes = _mm_insert_epi32(bytes, load_i32(row0 + at[1]), 2);
    return _mm_insert_epi32(bytes, load_i32(row1 + at[1]), 3);
  }
  MNNLITE_INLINE void gather(const uint8_t* row0, const uint8_t* row1, const int32_t* offset,
                             Quads<2>& quads) const noexcept {
    const Offsets offsets(offset);
    const Ints front = bytes_of(by_block([&](int block) { return two(row0, row1, offsets.at + 4 * block); }), order);
    const Ints back = bytes_of(by_block([&](int block) { return two(row0, row1, offsets.at + 4 * block + 2); }), order);
    quads.component[0] = low64(front, back);
    quads.component[1] = high64(front, back);
  }
};

template <int Count>
class Scaling {
 public:
  MNNLITE_INLINE Scaling(const float* scale, const float* bias) noexcept {
    for (int c = 0; c < Count; ++c) {
      k_[c] = each(scale[c]);
      b_[c] = each(bias[c]);
    }
  }
  template <bool biased>
  MNNLITE_INLINE void store(float* to, int c, Ints v) const noexcept {
    const Reals scaled = times(reals(v), k_[c]);
    image::store(to, biased ? plus(scaled, b_[c]) : scaled);
  }

 private:
  Reals k_[Count], b_[Count];
};

// Two 16-bit coefficients for PMADDWD.
MNNLITE_INLINE Ints pair_of(int32_t low, int32_t high) noexcept {
  return each32(static_cast<int32_t>((static_cast<uint32_t>(low) & 0xffff) | static_cast<uint32_t>(high) << 16));
}

// Sampled values v < 2^26 are cut to 15 bits, less what the definition subtracts, and multiplied in pairs of luma and one
// chroma.
class ToRgb {
 public:
  explicit MNNLITE_INLINE ToRgb(const YuvMatrix& m) noexcept
      : zero_(pair_of(-(m.black << 7), -(128 << 7))),
        red_(pair_of(m.luma, m.red_v)),
        green_u_(pair_of(m.luma, m.green_u)),
        green_v_(pair_of(0, m.green_v)),
        blue_(pair_of(m.luma, m.blue_u)),
        top_(each32(255 << 20)) {}
  MNNLITE_INLINE void operator()(Ints luma, Ints u, Ints v, Ints rgb[3]) const noexcept {
    const Ints y = right32<11>(luma);
    const Ints yu = add16(join16<0xaa>(y, left32<5>(u)), zero_), yv = add16(join16<0xaa>(y, left32<5>(v)), zero_);
    rgb[0] = clamped(madd16(yv, red_));
    rgb[1] = clamped(add32(madd16(yu, green_u_), madd16(yv, green_v_)));
    rgb[2] = clamped(madd16(yu, blue_));
  }

 private:
  MNNLITE_INLINE Ints clamped(Ints v) const noexcept { return min32(max32(v, each32(0)), top_); }
  Ints zero_, red_, green_u_, green_v_, blue_, top_;
};
