// Lines and polygons: fewer points with a stated error, convex hulls, the smallest rectangle around points.
#pragma once

#include <cstdint>

namespace mnnlite {

struct Point {
  double x, y;
};

// Drop points of a line in place so that no dropped one is further than `tolerance` from what is left (Douglas and
// Peucker 1973); both ends stay. `stack` has room for 2 * count numbers, `keep` for count. Returns how many are left.
int32_t simplify_line(Point* points, int32_t count, double tolerance, int32_t* stack, uint8_t* keep) noexcept;
// The same for a closed ring; at least three points stay.
int32_t simplify_ring(Point* points, int32_t count, double tolerance, int32_t* stack, uint8_t* keep) noexcept;

// Points as x, y pairs of floats, and the box around them: left, top, right, bottom.
void write_points(const Point* points, int32_t count, float* values, float* box) noexcept;

// Corners of the convex hull, in order; sorts `points`. `hull` has room for count + 1. Returns how many.
int32_t convex_hull(Point* points, int32_t count, Point* hull) noexcept;

struct Rectangle {
  Point center;
  double width, height;  // along `angle` and across it
  double cosine, sine;   // of the direction of the width

  // Top-left, top-right, bottom-right, bottom-left for one that is turned by less than 45 degrees, with `grow` added to
  // each side.
  void corners(double grow, Point* out) const noexcept;
};

// The rectangle of least area around a convex hull; its width runs within 45 degrees of the x axis.
Rectangle smallest_rectangle(const Point* hull, int32_t count) noexcept;

}  // namespace mnnlite
