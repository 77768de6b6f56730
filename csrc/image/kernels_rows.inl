// Rows of outputs from rows of samples: what the vector instruction sets have in common. No include guard and no includes,
// as kernels_stream.inl. The includer has said before, for its registers:
//
//   kGroupOutputs                    outputs of a group
//   Ints                      a whole number for each of them
//   Quads<n>                  the four samples around each of them, of n components
//   Rows, OwnRows             weights of two rows, one for all outputs or one for each
//   Columns                   weights of two columns for each output
//   sampled(rows, quad, columns), store(to, ints)
//   Scaling                   of a channel: ints to floats in memory
//   ToRgb                     the colour matrix
//   SampleGray<step>, SamplePairs, SampleWide<kind>
//                             gather(row0, row1, offset, quads): the samples of each output by themselves
//   load_windows<per_window, count, spacing>(row0, row1, starts, shuffle_masks, quads)
//                             the same where several outputs' samples lie within 16 bytes

// The group at column x; the last one is moved back, and its windows are behind all others'.
template <int per_window, typename Sample>
MNNLITE_INLINE void load_group(const Sample& sample, const uint8_t* row0, const uint8_t* row1, const Taps& taps,
                               int32_t x, Quads<Sample::count>& quads) noexcept {
  if constexpr (per_window == 1) {
    sample.gather(row0, row1, taps.offset + x, quads);
  } else {
    const int32_t at = (x + kGroupOutputs - 1) & -kGroupOutputs;
    load_windows<per_window, Sample::count, Sample::spacing>(row0, row1, taps.starts + at / per_window,
                                                             taps.shuffle_masks + at, quads);
  }
}

// Walks through the rows ahead, into the second-level cache: the first is needed for the rows of now.
class Prefetch {
 public:
  explicit MNNLITE_INLINE Prefetch(const PrefetchRows& ahead) noexcept
      : ahead_(ahead), blocks_(ahead.rows > 0 ? ahead.blocks : 0) {
    enter(0);
  }
  MNNLITE_INLINE void go() noexcept {
    for (int32_t i = 0; i < blocks_; ++i) {
      for (int32_t line = 0; line < 4; ++line) __builtin_prefetch(at_ + 64 * line, 0, 2);
      at_ += 256;
      if (at_ >= end_) {
        ++row_;
        if (row_ < ahead_.rows)
          enter(row_);
        else
          blocks_ = 0;
      }
    }
  }

 private:
  MNNLITE_INLINE void enter(int32_t row) noexcept {
    at_ = ahead_.row[row];
    end_ = at_ + ahead_.bytes[row];
  }
  const PrefetchRows& ahead_;
  int32_t blocks_, row_ = 0;
  const uint8_t *at_, *end_;
};

// Runs over [begin, end) of `count` columns in groups, the last one moved back to end in time: load(x, quads) and then
// use(x, quads); single(begin, end) does the columns that vector code must not touch.
// `early`: a group is loaded while the one before is computed. Gathers need it: without, the chain from offset to store, some
// 40 cycles, fills the vector scheduler with waiting operations, and the loop is a fifth slower. Windows do not.
template <int Components, bool early, typename Load, typename Use, typename Single>
MNNLITE_INLINE void cover(int32_t begin, int32_t end, int32_t count, const PrefetchRows& ahead, Load load, Use use,
                          Single single) noexcept {
  if (end - begin < kGroupOutputs) {
    single(0, count);
    return;
  }
  single(0, begin);
  int32_t x = begin;
  Quads<Components> current;
  Prefetch prefetch(ahead);
  if constexpr (early) {
    load(x, current);
    for (; x + 2 * kGroupOutputs <= end; x += kGroupOutputs) {
      Quads<Components> next;
      prefetch.go();
      load(x + kGroupOutputs, next);
      use(x, current);
      current = next;
    }
    use(x, current);
    x += kGroupOutputs;
  } else {
    for (; x + kGroupOutputs <= end; x += kGroupOutputs) {
      prefetch.go();
      load(x, current);
      use(x, current);
    }
  }
  if (x < end) {
    load(end - kGroupOutputs, current);
    use(end - kGroupOutputs, current);
  }
  single(end, count);
}

template <int per_window, typename Sample>
MNNLITE_INLINE void sample_ints(const RowPair& pair, const Taps& taps, const PrefetchRows& ahead,
                                int32_t* const v[4]) noexcept {
  const Rows rows(pair.weight1);
  const uint8_t *const row0 = pair.row0, *const row1 = pair.row1;
  int32_t* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) to[c] = v[c];
  const Taps t = taps;  // a copy, which no store can change
  const Sample sample;
  cover<Sample::count, per_window == 1>(
      per_window == 1 ? t.wide_begin : 0, per_window == 1 ? t.wide_end : t.count, t.count, ahead,
      [&](int32_t x, Quads<Sample::count>& quads) { load_group<per_window>(sample, row0, row1, t, x, quads); },
      [&](int32_t x, const Quads<Sample::count>& quads) {
        const Columns columns(t.weights + x);
        for (int c = 0; c < Sample::count; ++c) store(to[c] + x, sampled(rows, quads.component[c], columns));
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns<uint8_t, Sample::count, Sample::spacing, Sample::step>(pair, taps, begin, end, v);
      });
}

template <typename Sample>
MNNLITE_KERNEL void sample_row(const RowPair& rows, const Taps& taps, const PrefetchRows& ahead,
                               int32_t* const v[4]) noexcept {
  if (taps.per_window == 4)
    sample_ints<4, Sample>(rows, taps, ahead, v);
  else if (taps.per_window == 2)
    sample_ints<2, Sample>(rows, taps, ahead, v);
  else
    sample_ints<1, Sample>(rows, taps, ahead, v);
}

// Without `biased` every bias is 0 and no scale is negative: adding could change nothing.
template <int per_window, bool biased, typename Sample>
MNNLITE_INLINE void sample_floats(const RowPair& pair, const Taps& taps, const PrefetchRows& ahead,
                                  const float scale[4], const float bias[4], float* const out[4]) noexcept {
  const Rows rows(pair.weight1);
  const Scaling<Sample::count> scaling(scale, bias);
  const uint8_t *const row0 = pair.row0, *const row1 = pair.row1;
  float* to[Sample::count];
  for (int c = 0; c < Sample::count; ++c) to[c] = out[c];
  const Taps t = taps;
  const Sample sample;
  cover<Sample::count, per_window == 1>(
      per_window == 1 ? t.wide_begin : 0, per_window == 1 ? t.wide_end : t.count, t.count, ahead,
      [&](int32_t x, Quads<Sample::count>& quads) { load_group<per_window>(sample, row0, row1, t, x, quads); },
      [&](int32_t x, const Quads<Sample::count>& quads) {
        const Columns columns(t.weights + x);
        for (int c = 0; c < Sample::count; ++c)
          scaling.template store<biased>(to[c] + x, c, sampled(rows, quads.component[c], columns));
      },
      [&](int32_t begin, int32_t end) {
        scalar::sample_columns_f32<uint8_t, Sample::count, Sample::spacing, Sample::step>(pair, taps, begin, end, scale,
                                                                                          bias, out);
      });
}

MNNLITE_INLINE bool is_biased(const float* scale, const float* bias, int count) noexcept {
  bool biased = false;
  for (int c = 0; c < count; ++c) biased = biased || bias[c] != 0 || scale[c] < 0;
  return biased;
}

template <int per_window, typename Sample>
MNNLITE_INLINE void sample_floats_or_biased(const RowPair& rows, const Taps& taps, const PrefetchRows& ahead,
                                            const float scale[4], const float bias[4], float* const out[4]) noexcept {
  if (is_biased(scale, bias, Sample::count))
    sample_floats<per_window, true, Sample>(rows, taps, ahead, scale, bias, out);
  else
    sample_floats<per_window, false, Sample>(rows, taps, ahead, scale, bias, out);
}

template <typename Sample>
MNNLITE_KERNEL void sample_row_f32(const RowPair& rows, const Taps& taps, const PrefetchRows& ahead,
                                   const float scale[4], const float bias[4], float* const out[4]) noexcept {
  if (taps.per_window == 4)
    sample_floats_or_biased<4, Sample>(rows, taps, ahead, scale, bias, out);
  else if (taps.per_window == 2)
    sample_floats_or_biased<2, Sample>(rows, taps, ahead, scale, bias, out);
  else
    sample_floats_or_biased<1, Sample>(rows, taps, ahead, scale, bias, out);
}

template <typename Sample>
MNNLITE_KERNEL void warp_row(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps,
                             int32_t* const v[4]) noexcept {
  const Sample sample;
  const auto group = [&](int32_t x) {
    uint64_t wide = 0;
    std::memcpy(&wide, taps.wide + x, kGroupOutputs);
    if (wide != 0x0101010101010101 >> (64 - 8 * kGroupOutputs)) {
      scalar::warp_columns<uint8_t, Sample::count, Sample::spacing, Sample::step>(plane, to_next_row, taps, x,
                                                                                  x + kGroupOutputs, v);
      return;
    }
    Quads<Sample::count> quads;
    sample.gather(plane, plane + to_next_row, taps.offset + x, quads);
    const OwnRows rows(taps.weights_y + x);
    const Columns columns(taps.weights_x + x);
    for (int c = 0; c < Sample::count; ++c) store(v[c] + x, sampled(rows, quads.component[c], columns));
  };
  if (taps.count < kGroupOutputs) {
    scalar::warp_columns<uint8_t, Sample::count, Sample::spacing, Sample::step>(plane, to_next_row, taps, 0, taps.count,
                                                                                v);
    return;
  }
  for (int32_t x = 0; x + kGroupOutputs <= taps.count; x += kGroupOutputs) group(x);
  if (taps.count % kGroupOutputs != 0) group(taps.count - kGroupOutputs);
}

// Chroma of the three kinds of YUV, and the scalar code for their edges.
struct ChromaPairs {
  using Luma = SampleGray<1>;
  static constexpr auto columns = scalar::yuv_columns_f32<1, 2, 1>;
  const SamplePairs sample;
  MNNLITE_INLINE ChromaPairs() noexcept : sample() {}
  template <int per_window>
  MNNLITE_INLINE void load(const YuvRows& rows, const Taps& taps, int32_t x, Quads<2>& out) const noexcept {
    load_group<per_window>(sample, rows.first.row0, rows.first.row1, taps, x, out);
  }
};
struct ChromaPlanes {
  using Luma = SampleGray<1>;
  static constexpr auto columns = scalar::yuv_columns_f32<1, 1, 0>;
  const SampleGray<1> sample;
  MNNLITE_INLINE ChromaPlanes() noexcept : sample() {}
  template <int per_window>
  MNNLITE_INLINE void load(const YuvRows& rows, const Taps& taps, int32_t x, Quads<2>& out) const noexcept {
    Quads<1> plane;
    load_group<per_window>(sample, rows.first.row0, rows.first.row1, taps, x, plane);
    out.component[0] = plane.component[0];
    load_group<per_window>(sample, rows.second.row0, rows.second.row1, taps, x, plane);
    out.component[1] = plane.component[0];
  }
};
struct ChromaPacked {
  using Luma = SampleGray<2>;
  static constexpr auto columns = scalar::yuv_columns_f32<2, 4, 2>;
  const SampleWide<Kind::c2s4> sample;
  MNNLITE_INLINE ChromaPacked() noexcept : sample() {}
  template <int per_window>
  MNNLITE_INLINE void load(const YuvRows& rows, const Taps& taps, int32_t x, Quads<2>& out) const noexcept {
    load_group<per_window>(sample, rows.first.row0, rows.first.row1, taps, x, out);
  }
};

template <int per_window, bool biased, typename Chroma>
MNNLITE_INLINE void yuv_floats(const YuvRows& given, const Taps& luma_taps, const Taps& chroma_taps,
                               const PrefetchRows& ahead, const YuvMatrix& m, const float scale[3], const float bias[3],
                               float* const out[3]) noexcept {
  const YuvRows rows = given;
  const Taps luma = luma_taps, chroma = chroma_taps;
  const Rows luma_rows(rows.luma.weight1), chroma_rows(rows.first.weight1);
  const ToRgb to_rgb(m);
  const Scaling<3> scaling(scale, bias);
  float* const to[3] = {out[0], out[1], out[2]};
  const typename Chroma::Luma sample_luma;
  const Chroma sample_chroma;
  int32_t begin = 0, end = luma.count;
  if (per_window == 1) {
    begin = luma.wide_begin > chroma.wide_begin ? luma.wide_begin : chroma.wide_begin;
    end = luma.wide_end < chroma.wide_end ? luma.wide_end : chroma.wide_end;
  }
  cover<3, per_window == 1>(
      begin, end, luma.count, ahead,
      [&](int32_t x, Quads<3>& quads) {
        Quads<1> light;
        Quads<2> color;
        load_group<per_window>(sample_luma, rows.luma.row0, rows.luma.row1, luma, x, light);
        sample_chroma.template load<per_window>(rows, chroma, x, color);
        quads.component[0] = light.component[0];
        quads.component[1] = color.component[0];
        quads.component[2] = color.component[1];
      },
      [&](int32_t x, const Quads<3>& quads) {
        const Columns luma_columns(luma.weights + x), chroma_columns(chroma.weights + x);
        Ints rgb[3];
        to_rgb(sampled(luma_rows, quads.component[0], luma_columns),
               sampled(chroma_rows, quads.component[1], chroma_columns),
               sampled(chroma_rows, quads.component[2], chroma_columns), rgb);
        for (int c = 0; c < 3; ++c) scaling.template store<biased>(to[c] + x, c, rgb[c]);
      },
      [&](int32_t first, int32_t last) {
        Chroma::columns(given, luma_taps, chroma_taps, m, first, last, scale, bias, out);
      });
}

template <int per_window, typename Chroma>
MNNLITE_INLINE void yuv_floats_or_biased(const YuvRows& rows, const Taps& luma, const Taps& chroma,
                                         const PrefetchRows& ahead, const YuvMatrix& m, const float scale[3],
                                         const float bias[3], float* const out[3]) noexcept {
  if (is_biased(scale, bias, 3))
    yuv_floats<per_window, true, Chroma>(rows, luma, chroma, ahead, m, scale, bias, out);
  else
    yuv_floats<per_window, false, Chroma>(rows, luma, chroma, ahead, m, scale, bias, out);
}

template <typename Chroma>
MNNLITE_KERNEL void yuv_row_f32(const YuvRows& rows, const Taps& luma, const Taps& chroma, const PrefetchRows& ahead,
                                const YuvMatrix& m, const float scale[3], const float bias[3],
                                float* const out[3]) noexcept {
  if (luma.per_window == 4)
    yuv_floats_or_biased<4, Chroma>(rows, luma, chroma, ahead, m, scale, bias, out);
  else if (luma.per_window == 2)
    yuv_floats_or_biased<2, Chroma>(rows, luma, chroma, ahead, m, scale, bias, out);
  else
    yuv_floats_or_biased<1, Chroma>(rows, luma, chroma, ahead, m, scale, bias, out);
}

// The table, all but the instruction set's name.
constexpr Kernels vector_kernels(Isa isa) noexcept {
  using C2s4 = SampleWide<Kind::c2s4>;
  using C3s3 = SampleWide<Kind::c3s3>;
  using C3s4 = SampleWide<Kind::c3s4>;
  using C4s4 = SampleWide<Kind::c4s4>;
  return {kStream,
          isa,
          kGroupOutputs,
          {sample_row<SampleGray<1>>, sample_row<SampleGray<2>>, sample_row<SamplePairs>, sample_row<C2s4>,
           sample_row<C3s3>, sample_row<C3s4>, sample_row<C4s4>, scalar::sample_row<uint16_t, 1, 2, 2>,
           scalar::sample_row<uint16_t, 3, 2, 6>, scalar::sample_row<uint16_t, 3, 2, 8>,
           scalar::sample_row<uint16_t, 4, 2, 8>},
          {sample_row_f32<SampleGray<1>>, nullptr, nullptr, nullptr, sample_row_f32<C3s3>, sample_row_f32<C3s4>,
           sample_row_f32<C4s4>, nullptr, nullptr, nullptr, nullptr},
          {yuv_row_f32<ChromaPairs>, yuv_row_f32<ChromaPlanes>, yuv_row_f32<ChromaPacked>},
          {warp_row<SampleGray<1>>, warp_row<SampleGray<2>>, warp_row<SamplePairs>, warp_row<C2s4>, warp_row<C3s3>,
           warp_row<C3s4>, warp_row<C4s4>, scalar::warp_row<uint16_t, 1, 2, 2>, scalar::warp_row<uint16_t, 3, 2, 6>,
           scalar::warp_row<uint16_t, 3, 2, 8>, scalar::warp_row<uint16_t, 4, 2, 8>},
          {SampleGray<1>::load_bytes, SampleGray<2>::load_bytes, SamplePairs::load_bytes, 8, 8, 8, 8, 0, 0, 0, 0}};
}
