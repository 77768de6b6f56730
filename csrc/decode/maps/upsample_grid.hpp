// Class maps of a larger grid than the network's: scores are interpolated before a class is chosen, row by row, so that the
// large scores are nowhere whole. What networks do with an operator that resizes and one that takes the largest.
#pragma once

#include <cstdint>

#include "decode/common/family.hpp"
#include "decode/common/options.hpp"

namespace mnnlite {

class GridUpsampler {
 public:
  void read(Options& options);
  bool wanted() const noexcept { return width_ > 0; }
  int32_t width() const noexcept { return width_; }
  int32_t height() const noexcept { return height_; }
  void plan(int32_t channels, int32_t width, int32_t height, Needs& needs) noexcept;
  // The first of the largest interpolated scores at each pixel of `map`. `values` are [channels, height, width] as planned.
  // False if one is not finite.
  bool run(const Call& call, const float* values, uint8_t* map) const noexcept;

 private:
  enum Rule { kHalfPixel, kAlignCorners, kAsymmetric };
  struct Sample {  // between `first` and the next one
    int32_t first, next;
    float weight;  // of the next one
  };
  // Of the small grid's `from` values for index `at` of the large one's `to`.
  Sample sample(int32_t at, int32_t from, int32_t to) const noexcept;
  // A row of the small grid, as wide as the large one: [channels, width()].
  void widen(const float* values, int32_t row, const Sample* columns, float* out) const noexcept;

  int rule_ = kHalfPixel;
  int32_t width_ = 0, height_ = 0;                           // of the large grid
  int32_t channels_ = 0, from_width_ = 0, from_height_ = 0;  // of the small one
  size_t columns_ = 0, wide_[2] = {0, 0}, planes_ = 0;
};

}  // namespace mnnlite
