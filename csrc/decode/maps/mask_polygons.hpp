// Outlines of masks that are held as bits, for results that somebody wants as polygons. Not for the path of a frame: it
// allocates.
#pragma once

#include <vector>

#include "core/status.hpp"
#include "mnnlite/decoder.h"

namespace mnnlite {

struct MaskPolygons {
  std::vector<mnnlite_row> rows;  // of MNNLITE_POLYGONS
  std::vector<float> values;
};

// The rings of `count` rows of MNNLITE_INSTANCES, outer ones before their holes, with the item, class and score of their row.
// No dropped corner is further than `tolerance` from the outline, in pixels of the frame. Code::argument: rows that do not lie
// in the pool. May throw bad_alloc.
Status mask_polygons(const mnnlite_row* rows, int64_t count, const uint8_t* pixels, int64_t pixel_count,
                     double tolerance, MaskPolygons& out);

}  // namespace mnnlite
