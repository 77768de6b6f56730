// Masks of instances from prototypes: a mask is the sum of the network's prototypes, weighted by a box's coefficients. Only
// masks of boxes that are kept are computed, only where their boxes lie, straight into the pixels of the frame.
#pragma once

#include <cstdint>

#include "decode/common/frame_box.hpp"
#include "decode/common/reader.hpp"

namespace mnnlite {

class InstanceMasks {
 public:
  // `desc` are the prototypes [N, numbers, rows, columns]; `room` is in bytes of masks, a slot. At least one mask of a whole
  // frame fits.
  Status plan(const char* family, const TensorView& desc, int64_t room, int32_t max_rows, Needs& needs) noexcept;

  bool active() const noexcept { return dims_.channels > 0; }
  int32_t coefficients() const noexcept { return dims_.channels; }
  // Where the coefficients of one box are put, before `write`.
  float* scratch(const Call& call) const noexcept { return call.at<float>(weights_); }
  void begin(const Call& call, const TensorView& prototypes, int slot) const noexcept {
    reader_.read(call, prototypes, slot);
  }

  enum Outcome { kWritten, kEmpty, kNoRoom, kNotFinite };
  // The mask of a box with the coefficients in `scratch`: fills the mask's fields of a row whose box is placed already.
  // `box` is in network pixels.
  Outcome write(const Call& call, const TensorView& prototypes, int slot, const float* box,
                mnnlite_row& row) const noexcept;

 private:
  struct Sample {  // between `first` and the next one
    int32_t first, next;
    float weight;  // of the next one
  };
  struct Stretch {  // columns of the frame between the same two of the map
    int32_t begin, end, first, next;
  };
  static Sample sample(double position, int32_t extent) noexcept;
  bool logits(const Call& call, const float* prototypes, int32_t x1, int32_t y1, int32_t x2, int32_t y2) const noexcept;
  int64_t aligned_rows(const Call& call, const Mapping& back, const mnnlite_row& row, uint8_t* bits) const noexcept;
  int64_t turned_rows(const Call& call, const Mapping& back, const Mapping& to_net, const float* box,
                      const mnnlite_row& row, uint8_t* bits) const noexcept;

  ImageDims dims_;
  Reader reader_;
  size_t weights_ = 0, map_ = 0, line_ = 0, samples_ = 0, stretches_ = 0;
};

}  // namespace mnnlite
