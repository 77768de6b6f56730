// A class map: one byte a pixel, 255 where the network saw nothing of the frame. Made by segmentation heads, read by
// everything that turns areas into rows, polygons or lines.
#pragma once

#include <cstdint>

#include "core/mapping.hpp"
#include "decode/common/family.hpp"
#include "decode/common/frame_box.hpp"
#include "decode/common/options.hpp"
#include "decode/common/reader.hpp"
#include "decode/maps/upsample_grid.hpp"

namespace mnnlite {

constexpr uint8_t kIgnoreLabel = 255;

struct ClassExtent {
  int64_t count;
  int32_t x1, y1, x2, y2;  // half-open
};
// For each of 256 classes how many pixels it has and where.
void measure_classes(const uint8_t* map, int32_t width, int32_t height, ClassExtent* extents) noexcept;

// Turns one output into class maps: argmax over channels, a threshold, or integers as they are. Of the output's own size, or
// for families that read it, of the one that `upsample` says.
class ClassMapper {
 public:
  void read(Options& options) noexcept;
  void read_upsampling(Options& options) { grid_.read(options); }
  Status plan(const char* family, const TensorView& desc, Needs& needs) noexcept;
  // Fills width() * height() bytes, kIgnoreLabel where a pixel's centre lies outside the frame (a letterbox's bars), and
  // says where in the frame a pixel of the map lies.
  Status run(const char* family, const Call& call, const TensorView& tensor, int slot, uint8_t* map,
             Mapping& to_frame) const noexcept;
  // Probabilities are asked for, by `scores`, or the map is binary.
  bool scored() const noexcept { return scores_ || mode_ == kBinary; }
  // For each of 256 classes how many pixels of the map it has and where, and if scored() the mean probability of these; of
  // `skip`, which gets no row, that may be 0.
  void measure(const Call& call, const TensorView& tensor, int slot, const uint8_t* map, ClassExtent* extents,
               double* means, int32_t skip) const noexcept;

  // The probability of `class_id` summed over `count` pixels from index `first` of the map that was last run; of maps of
  // integers it is 1 each.
  double sum_probability(const Call& call, const TensorView& tensor, int slot, int64_t first, int32_t count,
                         int32_t class_id) const noexcept;

  // Scores that have something between them, as integers that are classes have not: [channels(), height(), width()] of
  // the map that was last run, and what one channel is compared with.
  bool has_scores() const noexcept { return mode_ != kClasses; }
  const float* scores(const Call& call, const TensorView& tensor, int slot) const noexcept {
    return reader_.again(call, named(tensor), slot);
  }
  int32_t channels() const noexcept { return dims_.channels; }
  float cut() const noexcept { return cut_; }

  int32_t width() const noexcept { return grid_.wanted() ? grid_.width() : dims_.width; }
  int32_t height() const noexcept { return grid_.wanted() ? grid_.height() : dims_.height; }
  bool upsampled() const noexcept { return grid_.wanted(); }
  // Classes that are possible: 256 for maps of integers.
  int32_t classes() const noexcept { return mode_ == kArgmax ? dims_.channels : mode_ == kBinary ? 2 : 255; }
  // Two-class maps: class 0 is the background.
  bool binary() const noexcept { return mode_ == kBinary || (mode_ == kArgmax && dims_.channels == 2); }

 private:
  enum Mode { kAuto, kArgmax, kBinary, kClasses };
  TensorView named(const TensorView& tensor) const noexcept;
  Status classify(const char* family, const Call& call, const TensorView& tensor, int slot,
                  uint8_t* map) const noexcept;
  double sum_probability(const float* values, int64_t first, int32_t count, int32_t class_id) const noexcept;
  double sum_binary(const float* values, int32_t count, int32_t class_id) const noexcept;
  double probability(const float* values, int64_t pixel, int32_t class_id) const noexcept;  // of an argmax map

  int wanted_ = kAuto, mode_ = kAuto;
  int activation_ = 0, layout_ = 0;
  float threshold_ = 0.5f;
  bool scores_ = false;
  float cut_ = 0;
  ImageDims dims_;  // of the output
  Reader reader_;
  GridUpsampler grid_;
};

// Nearest pixel of the map for each pixel of the frame; kIgnoreLabel where the map does not reach. `columns` is scratch of
// frame_width numbers; `back`: frame pixel -> map pixel.
void spread_over_frame(const Mapping& back, const mnnlite_item& item, int32_t width, int32_t height, const uint8_t* map,
                       int32_t* columns, uint8_t* frame) noexcept;

// Frame pixels squared that one pixel of the map covers; the mean over the map where the mapping is projective.
double pixel_area(const Mapping& to_frame, int32_t width, int32_t height) noexcept;

}  // namespace mnnlite
