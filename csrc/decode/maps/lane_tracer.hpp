// Lines out of a class map: runs of pixels, row by row from the nearest, become chains; chains that continue one another
// become lines.
#pragma once

#include <cstdint>

#include "decode/common/family.hpp"
#include "decode/common/geometry.hpp"

namespace mnnlite {

struct LaneOptions {
  double max_gap = 0.25;     // that a line is continued over, in heights of the map
  double min_length = 0.08;  // of a line, in heights of the map
  int32_t min_pixels = 8;    // of a chain; smaller ones are noise
};

struct LaneChain {
  int32_t class_id;
  int32_t first_run, last_run;  // from near to far
  int32_t rows, pixels;
  int32_t x1, x2;  // columns it covers, half-open
  int32_t first_point, point_count;
  Point near_direction, far_direction;  // of unit length, towards the far end; 0, 0 if it is a single point
  int32_t next, previous;               // chain that continues it, or -1
};

// Memory is asked for by `plan`. Points are in pixels of the map.
class LaneTracer {
 public:
  void plan(Needs& needs, int32_t width, int32_t height) noexcept;

  // Chains of all classes but `skip` and kIgnoreLabel, linked. Returns how many; `truncated` if there were more than fit.
  int32_t trace(const Call& call, const uint8_t* map, int32_t skip, const LaneOptions& options,
                bool& truncated) const noexcept;
  const LaneChain* chains(const Call& call) const noexcept { return call.at<LaneChain>(chains_); }
  const Point* points(const Call& call) const noexcept { return call.at<Point>(points_); }
  int32_t point_capacity() const noexcept { return max_points_; }

  // Calls use(first, count) for each run of pixels of a chain, as indices into the map.
  template <class Use>
  void each_run(const Call& call, const LaneChain& chain, Use use) const noexcept {
    const Run* runs = call.at<Run>(runs_);
    for (int32_t r = chain.first_run; r >= 0; r = runs[r].next)
      use(int64_t{runs[r].y} * width_ + runs[r].x1, runs[r].x2 - runs[r].x1);
  }

 private:
  struct Run {
    int32_t y, x1, x2;  // half-open
    int32_t class_id;
    int32_t chain, next;   // next run of the chain, or -1
    int32_t below, above;  // how many touch it there
    int32_t touches;       // one of those below
  };

  int32_t find_runs(const Call& call, const uint8_t* map, int32_t skip, bool& truncated) const noexcept;
  int32_t make_chains(const Call& call, int32_t runs, const LaneOptions& options, bool& truncated) const noexcept;
  void make_points(const Call& call, LaneChain& chain, int32_t& used) const noexcept;
  void link(const Call& call, int32_t count, const LaneOptions& options) const noexcept;

  int32_t width_ = 0, height_ = 0, max_runs_ = 0, max_points_ = 0;
  size_t runs_ = 0, chains_ = 0, points_ = 0, sums_ = 0;
};

}  // namespace mnnlite
