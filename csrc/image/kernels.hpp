// The inner loops, one table of them per instruction set. All of a table's functions give the same bits as the
// baseline's: integer arithmetic up to the last step, then one multiplication and one addition in float.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/isa.hpp"

// Kernels are made of small pieces, and a piece that is called from two places and therefore not inlined costs half the
// speed. MNNLITE_INLINE is for pieces, MNNLITE_KERNEL for what is made of them: everything it calls becomes part of it.
#define MNNLITE_INLINE inline __attribute__((always_inline))
#define MNNLITE_KERNEL __attribute__((flatten))

namespace mnnlite::image {

// How the components of a group lie in memory: <components>s<bytes from pixel to pixel>; wide: 16-bit samples.
enum class Kind : int8_t { c1s1, c1s2, c2s2, c2s4, c3s3, c3s4, c4s4, wide1, wide3, wide3s4, wide4 };
constexpr int kKinds = 11;

// The frame rows under a network row, and the lower one's weight in 1/2048.
struct RowPair {
  const uint8_t* row0;
  const uint8_t* row1;
  int32_t weight1;
};

// Frame rows that the next call will read: while it computes, a kernel asks for their cache lines, `blocks` of four with
// every group. Frames are larger than the caches near the core, and no hardware guesses which row will be next.
struct PrefetchRows {
  const uint8_t* row[6];
  int32_t bytes[6];
  int32_t rows, blocks;
};

// Bilinear taps across: output x blends the samples at row + offset[x] and one step further with the weights in
// weights[x] (low half the first's, high half the second's, in 1/2048). Vector code may read `load_bytes` bytes at
// offset[x] for x in [wide_begin, wide_end); elsewhere only the samples themselves, the second only if it has weight.
//
// Where several outputs' samples lie within 16 bytes, they are loaded at once: outputs in groups of Kernels::group_outputs, the
// last group moved back to end in time, each group in windows of `per_window` outputs. `starts` has a window's first byte,
// `shuffle_masks` for each output of a group four bytes: where in the window its first neighbour's first component lies, twice,
// and the second neighbour's, twice. A neighbour without weight may be picked from anywhere.
struct Taps {
  int32_t* offset;
  int32_t* weights;
  int32_t count;
  int32_t wide_begin, wide_end;
  int32_t per_window;  // 4, 2, or 1: no windows
  int32_t* starts;
  uint32_t* shuffle_masks;
};
constexpr int32_t kWindowBytes = 16, kMaxGroupOutputs = 8;

// The same for a map that is not axis-aligned: every output has its own place and weights. `offset` is from the start of the
// plane; weights_y holds the lower row's alone. `wide`: load_bytes may be read there and one row below.
struct WarpTaps {
  int32_t* offset;
  int32_t* weights_x;
  int32_t* weights_y;
  uint8_t* wide;
  int32_t count;
};

// How positions become WarpTaps: size in samples less one, and how samples lie in the plane.
struct WarpPlane {
  int32_t last_x, last_y, step, stride;
  int32_t last_wide;  // greatest offset in a row where load_bytes may be read
  bool nearest;
};

// Area taps across: output x sums values[first[x] ...] * weights[begin[x] .. begin[x+1]), weights in 1/16384.
struct AreaTaps {
  int32_t* first;  // in samples
  int32_t* begin;
  int16_t* weights;
  int32_t count;
};

// v: sampled values with fraction bits, a row per component in the order of memory.
using SampleRow = void (*)(const RowPair& rows, const Taps& taps, const PrefetchRows& ahead,
                           int32_t* const v[4]) noexcept;
// The same with out[c][x] = float(v) * scale[c] + bias[c] in one pass.
using SampleRowF32 = void (*)(const RowPair& rows, const Taps& taps, const PrefetchRows& ahead, const float scale[4],
                              const float bias[4], float* const out[4]) noexcept;

// Outputs begin, begin + 1, ... along one axis of an axis-aligned map, all of them on the frame: output i lies at
// scale * (i + 0.5) + shift, in 1 / `units` samples; samples first to last may be used, `step` apart.
struct Line {
  double scale, shift, units;
  int32_t begin, count;
  int32_t first, last, step;
  bool nearest;
};

using WarpRow = void (*)(const uint8_t* plane, ptrdiff_t to_next_row, const WarpTaps& taps,
                         int32_t* const v[4]) noexcept;

// sums[i] += samples[i] * weight, and what turns finished sums into 16-bit values.
using AreaAdd = void (*)(const uint8_t* samples, int32_t count, int32_t weight, uint32_t* sums) noexcept;
using AreaNarrow = void (*)(const uint32_t* sums, int32_t count, uint16_t* values) noexcept;
// `count` components: value i of component c lies at values[i * step + at[c]], and four values may be read at values[i * step].
using AreaReduce = void (*)(const uint16_t* values, int32_t step, int32_t count, const int32_t at[4],
                            const AreaTaps& taps, int32_t* const v[4]) noexcept;

// Whole-number colour matrix: rgb = coefficients * (yuv - offset), clamped; @see mnnlite.reference.image.yuv_matrix.
struct YuvMatrix {
  int32_t luma, red_v, green_u, green_v, blue_u;  // in 1/8192
  int32_t black;                                  // 16 or 0
};

// Interleaved chroma is in `first` alone, both components in the order of memory; of planar chroma `first` is U.
struct YuvRows {
  RowPair luma, first, second;
};
enum class Chroma : int8_t { pairs, planes, packed };  // NV12 and NV21, I420, YUYV and UYVY
constexpr int kChromas = 3;

// Sampling, colour and out[c][x] = float(v) * scale[c] + bias[c] in one pass; red, green, blue. If V comes first in memory
// the caller swaps U and V in the matrix, and red and blue in the rest.
using YuvRowF32 = void (*)(const YuvRows& rows, const Taps& luma, const Taps& chroma, const PrefetchRows& ahead,
                           const YuvMatrix& matrix, const float scale[3], const float bias[3],
                           float* const out[3]) noexcept;

// What `store` makes of v: v * k + b as float or half, that rounded and saturated, or round(v / 2^bits) saturated.
enum class Store : int8_t { f32, f16, u8, i8, u8_exact, i8_exact };
constexpr int kStores = 6;

// out[i * step] for i in [0, count); step in elements.
using StoreRow = void (*)(const int32_t* v, int32_t count, float k, float b, int32_t bits, void* out,
                          ptrdiff_t step) noexcept;

// Interleaved pixels of 3 or 4 channels: out[i * channels + c].
using StorePixels = void (*)(const int32_t* const v[4], int32_t count, const float k[4], const float b[4], int32_t bits,
                             void* out) noexcept;

// Loops without gathers or shuffles.
struct StreamKernels {
  // Positions in the frame of network columns first + i at height `row`; m is the map, row-major. Behind the horizon of a
  // projection they are outside the frame.
  void (*project)(const double m[9], bool affine, double first, double row, int32_t count, double* x,
                  double* y) noexcept;
  // floor(position * units + 0.5), far outside clamped.
  void (*to_fixed)(const double* positions, double units, int32_t count, int32_t* fixed) noexcept;
  // offset and weights as in Taps.
  void (*line_taps)(const Line& line, int32_t* offset, int32_t* weights) noexcept;
  void (*warp_taps)(const int32_t* x, const int32_t* y, const WarpPlane& plane, const WarpTaps& taps) noexcept;
  AreaAdd area_add[2];  // samples of one byte, of two
  AreaNarrow area_narrow[2];
  AreaReduce area_reduce;
  // Rows of v with `bits` fraction bits in, with 20 out (gray: 22, wide: 15). In place is allowed.
  void (*yuv_to_rgb)(int32_t* y, int32_t* u, int32_t* v, int32_t count, int32_t bits, const YuvMatrix&) noexcept;
  void (*yuv_to_gray)(int32_t* y, int32_t count, int32_t bits, const YuvMatrix&) noexcept;
  void (*rgb_to_gray)(const int32_t* r, const int32_t* g, const int32_t* b, int32_t count, int32_t shift,
                      int32_t* gray) noexcept;
  StoreRow store[kStores];  // step is 1
  StoreRow store_strided[kStores];
  StorePixels store_pixels[2][kStores];  // of 3 channels, of 4; null: one by one with store_strided
};

struct Kernels : StreamKernels {
  Isa isa;
  int32_t group_outputs;  // outputs of a group of windows; 0: no windows
  SampleRow sample[kKinds];
  SampleRowF32 sample_f32[kKinds];  // null where the pass is not fused
  YuvRowF32 yuv_f32[kChromas];      // the same; luma and chroma have the same per_window
  WarpRow warp[kKinds];
  int8_t load_bytes[kKinds];  // what vector code reads at a tap's offset
};

// The table of an instruction set that available_isas() names.
const Kernels& kernels_of(Isa isa) noexcept;

extern const Kernels kBaselineKernels;
#if defined(__x86_64__)
extern const Kernels kSse41Kernels, kAvx2Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

constexpr int kYuvBits = 13, kGrayBits = 15, kAreaBits = 14;

}  // namespace mnnlite::image
