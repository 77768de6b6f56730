// Outlines of areas in a class map, along the edges of pixels: exact areas, and no half pixel to argue about.
#pragma once

#include <cstdint>

#include "decode/common/family.hpp"

namespace mnnlite {

// One closed outline. Outer rings run clockwise as seen on the screen, holes the other way; the area is always to the
// right. Pixels that touch at a corner belong together, as in OpenCV.
struct Ring {
  int32_t x, y;  // it begins on the left edge of this pixel, going up
  int32_t class_id;
  int32_t parent;  // holes: the ring around it; -1 for outer rings
  int64_t pixels;  // area inside the ring in pixels of the map; negative for holes
};

// Finds all rings of a map of at most width x height pixels. Memory is asked for by `plan`; nothing is allocated by `find`.
class ContourFinder {
 public:
  void plan(Needs& needs, int32_t width, int32_t height, int32_t max_rings) noexcept;

  // Rings of all classes but `skip` (and kIgnoreLabel), topmost first; at most max_rings. `truncated` says if there were more.
  const Ring* find(const Call& call, const uint8_t* map, int32_t width, int32_t height, int32_t skip, int32_t& count,
                   bool& truncated) const noexcept;

  // The corners of a ring that `find` gave for the same map, as x, y pairs. Returns how many there are; those beyond
  // `capacity` are not written.
  int32_t corners(const Call& call, const Ring& ring, int32_t width, int32_t* points, int32_t capacity) const noexcept;

 private:
  int32_t max_rings_ = 0;
  size_t padded_ = 0, marks_ = 0, rings_ = 0;
};

}  // namespace mnnlite
