#include "decode/maps/lane_tracer.hpp"

#include <algorithm>
#include <cmath>

#include "decode/maps/class_map.hpp"

namespace mnnlite {
namespace {

// A road has a few thousand runs and a few dozen chains; noise that has more is cut, and said to be.
constexpr int32_t kMostRuns = 16384, kMostPieces = 4096, kMostChains = 256, kMostPoints = 32768;
constexpr int32_t kDirectionPoints = 12;  // the end of a chain whose direction counts when it is continued

Point unit(const Point& from, const Point& to) noexcept {
  const double dx = to.x - from.x, dy = to.y - from.y, length = std::hypot(dx, dy);
  return length > 0 ? Point{dx / length, dy / length} : Point{0, 0};
}

}  // namespace

void LaneTracer::plan(Needs& needs, int32_t width, int32_t height) noexcept {
  width_ = width;
  height_ = height;
  const int64_t area = int64_t{width} * height;
  max_runs_ = static_cast<int32_t>(std::min<int64_t>(area / 2 + height, kMostRuns));
  max_points_ = static_cast<int32_t>(std::min<int64_t>(area + 1, kMostPoints));
  runs_ = needs.scratch<Run>(max_runs_);
  chains_ = needs.scratch<LaneChain>(kMostPieces);
  points_ = needs.scratch<Point>(max_points_);
  sums_ = needs.scratch<double>(2 * int64_t{width});
}

int32_t LaneTracer::find_runs(const Call& call, const uint8_t* map, int32_t skip, bool& truncated) const noexcept {
  Run* runs = call.at<Run>(runs_);
  int32_t count = 0, below_first = 0, below_end = 0;
  for (int32_t y = height_ - 1; y >= 0; --y) {
    const uint8_t* row = map + int64_t{y} * width_;
    const int32_t first = count;
    for (int32_t x = 0; x < width_;) {
      const uint8_t value = row[x];
      int32_t end = x + 1;
      while (end < width_ && row[end] == value) ++end;
      if (value != kIgnoreLabel && value != skip) {
        if (count == max_runs_) {
          truncated = true;
          return count;
        }
        runs[count++] = {y, x, end, value, -1, -1, 0, 0, -1};
      }
      x = end;
    }
    // Both rows are sorted by x: sweep over them together. Corners touch.
    int32_t below = below_first;
    for (int32_t r = first; r < count; ++r) {
      while (below < below_end && runs[below].x2 < runs[r].x1) ++below;
      for (int32_t b = below; b < below_end && runs[b].x1 <= runs[r].x2; ++b)
        if (runs[b].class_id == runs[r].class_id) ++runs[r].below, ++runs[b].above, runs[r].touches = b;
    }
    below_first = first;
    below_end = count;
  }
  return count;
}

int32_t LaneTracer::make_chains(const Call& call, int32_t n_runs, const LaneOptions& options,
                                bool& truncated) const noexcept {
  Run* runs = call.at<Run>(runs_);
  LaneChain* chains = call.at<LaneChain>(chains_);
  int32_t count = 0;
  for (int32_t r = 0; r < n_runs; ++r) {
    Run& run = runs[r];
    // A line goes on where nothing splits or joins.
    if (run.below == 1 && runs[run.touches].above == 1) {
      run.chain = runs[run.touches].chain;
      LaneChain& chain = chains[run.chain];
      runs[chain.last_run].next = r;
      chain.last_run = r;
      ++chain.rows;
      chain.pixels += run.x2 - run.x1;
      chain.x1 = std::min(chain.x1, run.x1);
      chain.x2 = std::max(chain.x2, run.x2);
    } else if (count == kMostPieces) {
      truncated = true;
      break;
    } else {
      run.chain = count;
      chains[count++] = {run.class_id, r, r, 1, run.x2 - run.x1, run.x1, run.x2, 0, 0, {0, 0}, {0, 0}, -1, -1};
    }
  }
  count =
      static_cast<int32_t>(std::remove_if(chains, chains + count,
                                          [&](const LaneChain& chain) { return chain.pixels < options.min_pixels; }) -
                           chains);
  if (count > kMostChains) {
    truncated = true;
    std::nth_element(chains, chains + kMostChains, chains + count, [](const LaneChain& a, const LaneChain& b) {
      return a.pixels != b.pixels ? a.pixels > b.pixels : a.first_run < b.first_run;
    });
    count = kMostChains;
  }
  std::sort(chains, chains + count, [](const LaneChain& a, const LaneChain& b) { return a.first_run < b.first_run; });
  return count;
}

void LaneTracer::make_points(const Call& call, LaneChain& chain, int32_t& used) const noexcept {
  const Run* runs = call.at<Run>(runs_);
  Point* points = call.at<Point>(points_) + used;
  const int32_t columns = chain.x2 - chain.x1;
  chain.first_point = used;
  const bool lying = columns > 2 * chain.rows;  // cut by columns, where a row would cut it lengthwise
  const int32_t wanted = lying ? columns : chain.rows;
  if (wanted > max_points_ - used) return;
  int32_t n = 0;
  if (!lying) {
    for (int32_t r = chain.first_run; r >= 0; r = runs[r].next)
      points[n++] = {(runs[r].x1 + runs[r].x2) / 2.0, runs[r].y + 0.5};
  } else {
    double *sums = call.at<double>(sums_), *counts = sums + columns;
    std::fill(sums, sums + 2 * columns, 0.0);
    for (int32_t r = chain.first_run; r >= 0; r = runs[r].next)
      for (int32_t x = runs[r].x1 - chain.x1; x < runs[r].x2 - chain.x1; ++x)
        sums[x] += runs[r].y + 0.5, counts[x] += 1;
    for (int32_t x = 0; x < columns; ++x)
      if (counts[x] > 0) points[n++] = {chain.x1 + x + 0.5, sums[x] / counts[x]};
    if (n > 1 && points[0].y < points[n - 1].y) std::reverse(points, points + n);
  }
  chain.point_count = n;
  used += n;
  const int32_t back = std::min(n - 1, kDirectionPoints);
  chain.near_direction = unit(points[0], points[back]);
  chain.far_direction = unit(points[n - 1 - back], points[n - 1]);
}

void LaneTracer::link(const Call& call, int32_t count, const LaneOptions& options) const noexcept {
  LaneChain* chains = call.at<LaneChain>(chains_);
  const Point* points = call.at<Point>(points_);
  const double reach = options.max_gap * height_;
  // How badly b continues a; negative if it does not.
  const auto cost = [&](const LaneChain& a, const LaneChain& b) {
    if (a.class_id != b.class_id || a.point_count == 0 || b.point_count == 0) return -1.0;
    const Point end = points[a.first_point + a.point_count - 1], start = points[b.first_point];
    const double gx = start.x - end.x, gy = start.y - end.y, gap = std::hypot(gx, gy);
    if (gap > reach) return -1.0;
    const Point &d = a.far_direction, &e = b.near_direction;
    const double ahead = gx * d.x + gy * d.y, behind = gx * e.x + gy * e.y;
    const double aside = std::fabs(gx * d.y - gy * d.x), aside_back = std::fabs(gx * e.y - gy * e.x);
    const bool a_points = d.x != 0 || d.y != 0, b_points = e.x != 0 || e.y != 0;
    // Two pixels, and a tenth of the gap, for the width of the line and for curves.
    const double allowed = 2 + 0.12 * gap;
    if (a_points && (ahead < -2 || aside > allowed)) return -1.0;
    if (b_points && (behind < -2 || aside_back > allowed)) return -1.0;
    const double bend = a_points && b_points ? 1 - (d.x * e.x + d.y * e.y) : 0.5;
    if (bend > 0.3) return -1.0;  // 45 degrees
    return gap + 4 * (aside + aside_back) + 20 * bend;
  };
  for (;;) {
    // The best pair of all, again and again: few chains, and the result does not depend on their order.
    double least = 1e300;
    int32_t from = -1, to = -1;
    for (int32_t a = 0; a < count; ++a) {
      if (chains[a].next >= 0) continue;
      for (int32_t b = 0; b < count; ++b) {
        if (a == b || chains[b].previous >= 0) continue;
        const double c = cost(chains[a], chains[b]);
        if (c < 0 || c >= least) continue;
        int32_t head = a;  // a line must not end in itself
        while (chains[head].previous >= 0) head = chains[head].previous;
        if (head == b) continue;
        least = c, from = a, to = b;
      }
    }
    if (from < 0) return;
    chains[from].next = to;
    chains[to].previous = from;
  }
}

int32_t LaneTracer::trace(const Call& call, const uint8_t* map, int32_t skip, const LaneOptions& options,
                          bool& truncated) const noexcept {
  truncated = false;
  const int32_t runs = find_runs(call, map, skip, truncated);
  const int32_t count = make_chains(call, runs, options, truncated);
  int32_t used = 0;
  for (int32_t c = 0; c < count; ++c) make_points(call, call.at<LaneChain>(chains_)[c], used);
  link(call, count, options);
  return count;
}

}  // namespace mnnlite
