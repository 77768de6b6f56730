// What segmentation as masks and as polygons share.
#pragma once

#include <memory>

#include "decode/maps/class_map.hpp"

namespace mnnlite {

struct SegmentationOptions {
  static constexpr int32_t kByKind = -2;  // class 0 of two-class maps, else none
  int32_t background = kByKind;
  double min_area = 0;  // frame pixels squared

  void read(Options& options) noexcept {
    background = options.integer("background", kByKind, kByKind, 254);
    min_area = options.number("min_area", 0, 0, 1e12);
  }
  // The class that gets no row, or -1.
  int32_t skipped(const ClassMapper& mapper) const noexcept {
    return background == kByKind ? (mapper.binary() ? 0 : -1) : background;
  }
};

std::unique_ptr<Decoder> make_segmentation_polygons(Options& options, const SegmentationOptions& common);

}  // namespace mnnlite
