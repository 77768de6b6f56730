// The kernels in plain C++, one output at a time: what every instruction set must equal, and its first and last columns.
//
// Data sheet. Down before across, because two rows share one weight. 8-bit samples: down p*w sums to at most
// 255 * 2^11 < 2^19, kept with 7 fraction bits (15 bits, a signed 16-bit factor); across 32640 * 2^11 < 2^26. 16-bit
// samples: 65535 * 2^11 < 2^27 down, kept with 0 fraction bits, across < 2^27. Area: down 255 * 2^14 < 2^22 (wide: < 2^30, unsigned), kept with 7 (0) bits, across 32640 * 2^14 < 2^29
// (65535 * 2^14 < 2^30). Colour matrix: |coefficient| < 2.2 * 2^13, two products of a 15-bit value: < 2^31.
// Gray: 65535 * 2^15 < 2^31. Nothing overflows.
#pragma once

#include <cstdint>
#include <cstring>

#include "image/kernels.hpp"

// Internal linkage: each instruction set's file has its own copy, and nothing weak that the linker could merge with code for
// another CPU.
namespace mnnlite::image::scalar {
namespace {

constexpr int kKeep8 = 4, kKeep16 = 11;  // bits dropped between down and across

template <typename T>
inline int32_t load(const uint8_t* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// Not std::clamp: nothing of the standard library may be compiled for more than the baseline.
inline int32_t clamp_level(int32_t v, int32_t bits) noexcept {
  const int32_t top = 255 << bits;
  v = v < 0 ? 0 : v;
  return v > top ? top : v;
}

// One sample: `step` bytes to the right neighbour, which is only read if it has weight; so is the lower row.
template <typename T>
inline int32_t blend(const uint8_t* upper, const uint8_t* lower, int32_t step, int32_t weights_x,
                     int32_t weight1_y) noexcept {
  constexpr int keep = sizeof(T) == 1 ? kKeep8 : kKeep16;
  constexpr int32_t half = 1 << (keep - 1);
  const int32_t w0 = weights_x & 0xffff, w1 = weights_x >> 16, right = w1 != 0 ? step : 0;
  const int32_t first = (load<T>(upper) * (2048 - weight1_y) + load<T>(lower) * weight1_y + half) >> keep;
  const int32_t second =
      (load<T>(upper + right) * (2048 - weight1_y) + load<T>(lower + right) * weight1_y + half) >> keep;
  return first * w0 + second * w1;
}

// T: type of a sample. N components, `Spacing` bytes apart, `Step` bytes from pixel to pixel.
template <typename T, int N, int Spacing, int Step>
inline void sample_columns(const RowPair& rows, const Taps& taps, int32_t begin, int32_t end,
                           int32_t* const v[4]) noexcept {
  for (int32_t x = begin; x < end; ++x)
    for (int c = 0; c < N; ++c) {
      const int32_t at = taps.offset[x] + c * Spacing;
      v[c][x] = blend<T>(rows.row0 + at, rows.row1 + at, Step, taps.weights[x], rows.weight1);
    }
}

template <typename T, int N, int Spacing, int Step>
inline void sample_columns_f32(const RowPair& rows, const Taps& taps, int32_t begin, int32_t end, const float* scale,
                               const float* bias, float* const out[4]) noexcept {
  for (int32_t x = begin; x < end; ++x)
    for (int c = 0; c < N; ++c) {
      const int32_t at = taps.offset[x] + c * Spacing;
      const int32_t v = blend<T>(rows.row0 + at, rows.row1 + at, Step, taps.weights[x], rows.weight1);
      out[c][x] = static_cast<float>(v) * scale[c] + bias[c];
    }
}

template <typename T, int N, int Spacing, int Step>
void sample_row(const RowPair& rows, const Taps& taps, const PrefetchRows&, int32_t* const v[4]) noexcept {
  sample_columns<T, N, Spacing, Step>(rows, taps, 0, taps.count, v);
}

template <typename T, int N, int Spacing, int Step>
inline void warp_columns(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps, int32_t begin, int32_t end,
                         int32_t* const v[4]) noexcept {
  for (int32_t x = begin; x < end; ++x) {
    const int32_t weight1 = taps.weights_y[x];
    const uint8_t* upper = plane + taps.offset[x];
    const uint8_t* lower = weight1 != 0 ? upper + to_next_row : upper;
    for (int c = 0; c < N; ++c)
      v[c][x] = blend<T>(upper + c * Spacing, lower + c * Spacing, Step, taps.weights_x[x], weight1);
  }
}

template <typename T, int N, int Spacing, int Step>
void warp_row(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps, int32_t* const v[4]) noexcept {
  warp_columns<T, N, Spacing, Step>(plane, to_next_row, taps, 0, taps.count, v);
}

// Sampled y, u, v with 18 fraction bits -> red, green, blue as floats at column x.
inline void store_yuv_f32(int32_t y, int32_t u, int32_t v, const YuvMatrix& m, const float scale[3],
                          const float bias[3], float* const out[3], int32_t x) noexcept {
  const int32_t light = ((y >> 11) - (m.black << 7)) * m.luma, cb = (u >> 11) - (128 << 7), cr = (v >> 11) - (128 << 7);
  const int32_t rgb[3] = {light + cr * m.red_v, light + (cb * m.green_u + cr * m.green_v), light + cb * m.blue_u};
  for (int c = 0; c < 3; ++c) out[c][x] = static_cast<float>(clamp_level(rgb[c], 20)) * scale[c] + bias[c];
}

// Columns of a fused YUV pass. LumaStep, and for chroma the step and how far the second component lies behind the first
// (0: in a plane of its own).
template <int LumaStep, int ChromaStep, int Spacing>
inline void yuv_columns_f32(const YuvRows& rows, const Taps& luma, const Taps& chroma, const YuvMatrix& m,
                            int32_t begin, int32_t end, const float scale[3], const float bias[3],
                            float* const out[3]) noexcept {
  const RowPair &light = rows.luma, &first = rows.first, &second = Spacing != 0 ? rows.first : rows.second;
  for (int32_t x = begin; x < end; ++x) {
    const int32_t at_y = luma.offset[x], at_u = chroma.offset[x], at_v = at_u + Spacing, w = chroma.weights[x];
    const int32_t y = blend<uint8_t>(light.row0 + at_y, light.row1 + at_y, LumaStep, luma.weights[x], light.weight1);
    const int32_t u = blend<uint8_t>(first.row0 + at_u, first.row1 + at_u, ChromaStep, w, first.weight1);
    const int32_t v = blend<uint8_t>(second.row0 + at_v, second.row1 + at_v, ChromaStep, w, second.weight1);
    store_yuv_f32(y, u, v, m, scale, bias, out, x);
  }
}

// IEEE half with ties to even; overflow gives infinity.
inline uint16_t half_of(float value) noexcept {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // 65520 and more
  if (magnitude < 0x38800000) {                                              // below 2^-14: subnormal halves
    float absolute;
    std::memcpy(&absolute, &magnitude, sizeof absolute);
    const float shifted = absolute + 0.5f;  // the last bit of 0.5 is 2^-24, the smallest half
    uint32_t raw;
    std::memcpy(&raw, &shifted, sizeof raw);
    return static_cast<uint16_t>(sign | (raw - 0x3f000000));
  }
  const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

}  // namespace
}  // namespace mnnlite::image::scalar
