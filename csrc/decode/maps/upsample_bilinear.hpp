// Class maps as large as the frame whose scores are interpolated before a class is chosen: edges as smooth as the frame.
#pragma once

#include <cstdint>

#include "core/mapping.hpp"
#include "decode/common/family.hpp"

namespace mnnlite {

class BilinearUpsampler {
 public:
  void plan(int32_t channels, int32_t width, int32_t height, Needs& needs) noexcept;
  // For each pixel of the item's frame the class that is largest between the four map pixels around it, or with one
  // channel 1 where the score is larger than `cut`; kIgnoreLabel where the map does not reach. `values` are [channels, height,
  // width]. False if an interpolated score is not finite. `back`: frame pixel -> map pixel.
  bool run(const Call& call, const float* values, float cut, const Mapping& back, const mnnlite_item& item,
           uint8_t* frame) const noexcept;

 private:
  struct Sample {  // between `first` and the next one
    int32_t first, next;
    float weight;  // of the next one
  };
  static Sample sample(double position, int32_t extent) noexcept;
  static bool inside(double position, int32_t extent) noexcept { return position >= 0 && position < extent; }
  // One row of the frame, from the columns' samples and the row's.
  void straight_row(const float* values, const Sample* columns, Sample row, int32_t first, int32_t end, float* line,
                    float* planes) const noexcept;
  bool choose(const float* planes, float cut, int32_t count, uint8_t* out) const noexcept;

  int32_t channels_ = 0, width_ = 0, height_ = 0, most_ = 0;  // most_: columns of the largest frame
  size_t columns_ = 0, line_ = 0, planes_ = 0;
};

}  // namespace mnnlite
