#include "decode/common/geometry.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mnnlite {
namespace {

double distance2(const Point& p, const Point& a, const Point& b) noexcept {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  double t = length2 > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length2 : 0;
  t = std::min(std::max(t, 0.0), 1.0);
  const double ex = p.x - (a.x + t * dx), ey = p.y - (a.y + t * dy);
  return ex * ex + ey * ey;
}

// Mark what stays between the indices `first` and `last` (taken modulo count), both of which are marked already.
void mark(const Point* points, int32_t count, int32_t first, int32_t last, double tolerance2, int32_t* stack,
          uint8_t* keep) noexcept {
  int32_t depth = 0;
  stack[depth++] = first;
  stack[depth++] = last;
  while (depth > 0) {
    const int32_t to = stack[--depth], from = stack[--depth];
    double worst = tolerance2;
    int32_t split = -1;
    for (int32_t i = from + 1; i < to; ++i) {
      const double d = distance2(points[i % count], points[from % count], points[to % count]);
      if (d > worst) worst = d, split = i;
    }
    if (split < 0) continue;
    keep[split % count] = 1;
    // The pieces on the stack are disjoint and each is a gap of at least two, so that 2 * count numbers are enough.
    if (split - from > 1) stack[depth++] = from, stack[depth++] = split;
    if (to - split > 1) stack[depth++] = split, stack[depth++] = to;
  }
}

int32_t compact(Point* points, int32_t count, const uint8_t* keep) noexcept {
  int32_t left = 0;
  for (int32_t i = 0; i < count; ++i)
    if (keep[i]) points[left++] = points[i];
  return left;
}

}  // namespace

int32_t simplify_line(Point* points, int32_t count, double tolerance, int32_t* stack, uint8_t* keep) noexcept {
  if (count < 3) return count;
  std::memset(keep, 0, static_cast<size_t>(count));
  keep[0] = keep[count - 1] = 1;
  mark(points, count, 0, count - 1, tolerance * tolerance, stack, keep);
  return compact(points, count, keep);
}

int32_t simplify_ring(Point* points, int32_t count, double tolerance, int32_t* stack, uint8_t* keep) noexcept {
  if (count < 4) return count;
  std::memset(keep, 0, static_cast<size_t>(count));
  int32_t far = 0;
  double most = -1;
  for (int32_t i = 1; i < count; ++i) {
    const double dx = points[i].x - points[0].x, dy = points[i].y - points[0].y;
    if (dx * dx + dy * dy > most) most = dx * dx + dy * dy, far = i;
  }
  keep[0] = keep[far] = 1;
  mark(points, count, 0, far, tolerance * tolerance, stack, keep);
  mark(points, count, far, count, tolerance * tolerance, stack, keep);
  if (std::count(keep, keep + count, 1) < 3) {  // a sliver: the point that is furthest off makes it an area again
    int32_t third = -1;
    most = -1;
    for (int32_t i = 1; i < count; ++i)
      if (i != far && distance2(points[i], points[0], points[far]) > most)
        most = distance2(points[i], points[0], points[far]), third = i;
    if (third >= 0) keep[third] = 1;
  }
  return compact(points, count, keep);
}

void write_points(const Point* points, int32_t count, float* values, float* box) noexcept {
  box[0] = box[1] = 1e30f, box[2] = box[3] = -1e30f;
  for (int32_t i = 0; i < count; ++i) {
    const float x = static_cast<float>(points[i].x), y = static_cast<float>(points[i].y);
    values[2 * i] = x, values[2 * i + 1] = y;
    box[0] = std::min(box[0], x), box[1] = std::min(box[1], y);
    box[2] = std::max(box[2], x), box[3] = std::max(box[3], y);
  }
}

int32_t convex_hull(Point* points, int32_t count, Point* hull) noexcept {
  // Andrew 1979: lower and upper chain over the points sorted by x.
  std::sort(points, points + count, [](const Point& a, const Point& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  const auto turn = [](const Point& o, const Point& a, const Point& b) {
    return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
  };
  if (count < 3) {
    std::copy(points, points + count, hull);
    return count;
  }
  int32_t n = 0;
  for (int32_t i = 0; i < count; ++i) {
    while (n >= 2 && turn(hull[n - 2], hull[n - 1], points[i]) <= 0) --n;
    hull[n++] = points[i];
  }
  const int32_t lower = n + 1;
  for (int32_t i = count - 2; i >= 0; --i) {
    while (n >= lower && turn(hull[n - 2], hull[n - 1], points[i]) <= 0) --n;
    hull[n++] = points[i];
  }
  return n - 1;
}

void Rectangle::corners(double grow, Point* out) const noexcept {
  const double w = width / 2 + grow, h = height / 2 + grow;
  constexpr int kSides[4][2] = {{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
  for (int k = 0; k < 4; ++k)
    out[k] = {center.x + kSides[k][0] * w * cosine - kSides[k][1] * h * sine,
              center.y + kSides[k][0] * w * sine + kSides[k][1] * h * cosine};
}

Rectangle smallest_rectangle(const Point* hull, int32_t count) noexcept {
  // One side of it lies on a side of the hull (Freeman and Shapira 1975).
  Rectangle best{{0, 0}, 0, 0, 1, 0};
  double least = -1;
  for (int32_t i = 0; i < count; ++i) {
    const Point &a = hull[i], &b = hull[(i + 1) % count];
    const double length = std::hypot(b.x - a.x, b.y - a.y);
    if (count > 1 && !(length > 0)) continue;
    const double c = count > 1 ? (b.x - a.x) / length : 1, s = count > 1 ? (b.y - a.y) / length : 0;
    double u1 = 1e300, u2 = -1e300, v1 = 1e300, v2 = -1e300;
    for (int32_t k = 0; k < count; ++k) {
      const double u = hull[k].x * c + hull[k].y * s, v = hull[k].y * c - hull[k].x * s;
      u1 = std::min(u1, u), u2 = std::max(u2, u), v1 = std::min(v1, v), v2 = std::max(v2, v);
    }
    const double area = (u2 - u1) * (v2 - v1);
    if (least >= 0 && !(area < least * (1 - 1e-12))) continue;
    least = area;
    const double u = (u1 + u2) / 2, v = (v1 + v2) / 2;
    best = {{u * c - v * s, u * s + v * c}, u2 - u1, v2 - v1, c, s};
  }
  // Turn it so that its width runs within 45 degrees of the x axis, to the right.
  if (std::fabs(best.sine) > std::fabs(best.cosine) * (1 + 1e-9)) {
    std::swap(best.width, best.height);
    const double c = best.cosine;
    best.cosine = -best.sine, best.sine = c;
  }
  if (best.cosine < 0) best.cosine = -best.cosine, best.sine = -best.sine;
  return best;
}

}  // namespace mnnlite
