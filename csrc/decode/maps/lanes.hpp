// What lanes from masks and lanes from anchors share: how a line of points becomes a row.
#pragma once

#include <memory>

#include "core/mapping.hpp"
#include "decode/common/family.hpp"
#include "decode/common/geometry.hpp"
#include "decode/common/options.hpp"

namespace mnnlite {

struct LineOptions {
  float score = 0;
  double tolerance = 1;    // no dropped point is further from the line, in frame pixels
  int32_t degree = 0;      // of the polynomial through the points; 0 = the points themselves
  int32_t max_lines = 16;  // an item, the longest

  void read(Options& options) noexcept;
};

// Collects the points of one line after another in scratch memory, in pixels of the frame.
class LineWriter {
 public:
  void plan(Needs& needs, const LineOptions& options, int32_t capacity) noexcept;
  void begin() noexcept { count_ = 0; }
  void add(const Call& call, const Mapping& to_frame, const Point& point) noexcept;
  void end(const Call& call, const mnnlite_item& item, const LineOptions& options, int32_t class_id,
           float score) noexcept;

 private:
  int32_t capacity_ = 0, count_ = 0;
  size_t points_ = 0, stack_ = 0, keep_ = 0;
};

// Replace points by those of the least-squares polynomial of the axis along which they extend most, at the same places.
void fit_polynomial(Point* points, int32_t count, int32_t degree) noexcept;

std::unique_ptr<Decoder> make_row_lanes(Options& options, const LineOptions& lines);
std::unique_ptr<Decoder> make_anchor_lanes(Options& options, const LineOptions& lines);

}  // namespace mnnlite
