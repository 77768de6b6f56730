// From network pixels to pixels of the frame.
#pragma once

#include <algorithm>

#include "core/mapping.hpp"
#include "mnnlite/decoder.h"

namespace mnnlite {

inline Mapping mapping_of(const mnnlite_item& item) noexcept {
  Mapping mapping;
  std::copy(item.to_frame, item.to_frame + 9, mapping.m);
  return mapping;
}

// Pixel of a width x height map of the network's input -> frame pixel.
inline Mapping map_to_frame(const mnnlite_item& item, int32_t width, int32_t height) noexcept {
  const Mapping mapping = mapping_of(item);
  if (item.net_width < 1 || item.net_height < 1) return mapping;
  return Mapping::compose(mapping, Mapping::scale_shift(static_cast<double>(item.net_width) / width,
                                                        static_cast<double>(item.net_height) / height, 0, 0));
}

// The box around the mapped corners, cut to the frame if `clip`. False if nothing of it is left (or it is not finite).
inline bool box_in_frame(const Mapping& mapping, const mnnlite_item& item, const float* box, bool clip,
                         float* out) noexcept {
  double x[4], y[4];
  const int corners = mapping.axis_aligned() ? 2 : 4;
  mapping.apply(box[0], box[1], x[0], y[0]);
  mapping.apply(box[2], box[3], x[1], y[1]);
  if (corners == 4) {
    mapping.apply(box[2], box[1], x[2], y[2]);
    mapping.apply(box[0], box[3], x[3], y[3]);
  }
  double x1 = *std::min_element(x, x + corners), x2 = *std::max_element(x, x + corners);
  double y1 = *std::min_element(y, y + corners), y2 = *std::max_element(y, y + corners);
  if (clip) {
    x1 = std::max(x1, 0.0);
    y1 = std::max(y1, 0.0);
    x2 = std::min(x2, static_cast<double>(item.frame_width));
    y2 = std::min(y2, static_cast<double>(item.frame_height));
  }
  out[0] = static_cast<float>(x1);
  out[1] = static_cast<float>(y1);
  out[2] = static_cast<float>(x2);
  out[3] = static_cast<float>(y2);
  for (int i = 0; i < 4; ++i)
    if (!std::isfinite(out[i])) return false;
  return out[2] > out[0] && out[3] > out[1];
}

}  // namespace mnnlite
