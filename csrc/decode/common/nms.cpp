#include "decode/common/nms.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/common/kernels.hpp"
#include "decode/common/math.hpp"

namespace mnnlite {
namespace {

void move(Candidate* candidates, float* points, int32_t values, int32_t from, int32_t to) noexcept {
  if (from == to) return;
  candidates[to] = candidates[from];
  if (points)
    std::memmove(points + int64_t{to} * values, points + int64_t{from} * values,
                 static_cast<size_t>(values) * sizeof(float));
}

int32_t hard(Candidate* candidates, int32_t count, const NmsOptions& options, float* points, int32_t values) noexcept {
  const DecodeKernels& kernels = decode_kernels();
  KeptBoxes kept;  // what is kept beyond them is compared one by one: no camera picture has a thousand objects
  // The last step reads up to kStep - 1 empty boxes, which overlap nothing.
  std::fill(kept.x1, kept.x1 + KeptBoxes::kMost, 1.0f);
  std::fill(kept.y1, kept.y1 + KeptBoxes::kMost, 1.0f);
  std::fill(kept.x2, kept.x2 + KeptBoxes::kMost, 0.0f);
  std::fill(kept.y2, kept.y2 + KeptBoxes::kMost, 0.0f);
  std::fill(kept.area, kept.area + KeptBoxes::kMost, 0.0f);
  std::fill(kept.class_id, kept.class_id + KeptBoxes::kMost, 0);
  int32_t survivors = 0;
  for (int32_t i = 0; i < count; ++i) {
    const Candidate& c = candidates[i];
    const int32_t listed = std::min(survivors, KeptBoxes::kMost);
    bool gone = kernels.any_overlap(kept, listed, c, options.iou, options.agnostic);
    for (int32_t k = listed; k < survivors && !gone; ++k)
      gone =
          (options.agnostic || candidates[k].class_id == c.class_id) && overlaps(candidates[k].box, c.box, options.iou);
    if (gone) continue;
    if (survivors < KeptBoxes::kMost) {
      kept.x1[survivors] = c.box[0];
      kept.y1[survivors] = c.box[1];
      kept.x2[survivors] = c.box[2];
      kept.y2[survivors] = c.box[3];
      kept.area[survivors] = (c.box[2] - c.box[0]) * (c.box[3] - c.box[1]);
      kept.class_id[survivors] = c.class_id;
    }
    move(candidates, points, values, i, survivors++);
  }
  return survivors;
}

// Whether a better box takes a worse one with it, by what the options count as overlap.
bool takes(const Candidate* candidates, const NmsOptions& options, const float* points, int32_t values, int32_t better,
           int32_t worse) noexcept {
  const Candidate &a = candidates[better], &b = candidates[worse];
  if (!options.agnostic && a.class_id != b.class_id) return false;
  if (!options.rotated || !points) return overlaps(a.box, b.box, options.iou);
  const float *p = points + int64_t{better} * values, *q = points + int64_t{worse} * values;
  if (options.gaussian) return gaussian_iou(p, q) > static_cast<double>(options.iou);
  // Boxes around them that do not touch cannot overlap: most pairs end there.
  return overlaps(a.box, b.box, 0) && quad_iou(p, q) > options.iou;
}

int32_t rotated(Candidate* candidates, int32_t count, const NmsOptions& options, float* points,
                int32_t values) noexcept {
  int32_t survivors = 0;
  for (int32_t i = 0; i < count; ++i) {
    bool gone = false;
    for (int32_t k = 0; k < survivors && !gone; ++k) gone = takes(candidates, options, points, values, k, i);
    if (!gone) move(candidates, points, values, i, survivors++);
  }
  return survivors;
}

int32_t fast(Candidate* candidates, int32_t count, const NmsOptions& options, float* points, int32_t values) noexcept {
  // From the worst on, so that all better ones are still there; index -1 marks what goes.
  for (int32_t i = count - 1; i > 0; --i)
    for (int32_t k = 0; k < i; ++k)
      if (takes(candidates, options, points, values, k, i)) {
        candidates[i].index = -1;
        break;
      }
  int32_t survivors = 0;
  for (int32_t i = 0; i < count; ++i)
    if (candidates[i].index >= 0) move(candidates, points, values, i, survivors++);
  return survivors;
}

float iou_of(const float* a, const float* b) noexcept {
  const float width = std::min(a[2], b[2]) - std::max(a[0], b[0]);
  const float height = std::min(a[3], b[3]) - std::max(a[1], b[1]);
  if (!(width > 0 && height > 0)) return 0;
  const float shared = width * height;
  return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared);
}

int32_t soft(Candidate* candidates, int32_t count, const NmsOptions& options, float* points, int32_t values) noexcept {
  const auto swap = [&](int32_t a, int32_t b) {
    if (a == b) return;
    std::swap(candidates[a], candidates[b]);
    if (points)
      std::swap_ranges(points + int64_t{a} * values, points + int64_t{a + 1} * values, points + int64_t{b} * values);
  };
  for (int32_t i = 0; i < count; ++i) {
    swap(i, static_cast<int32_t>(std::min_element(candidates + i, candidates + count, before) - candidates));
    for (int32_t j = i + 1; j < count;) {
      if (options.agnostic || candidates[i].class_id == candidates[j].class_id) {
        const float iou = iou_of(candidates[i].box, candidates[j].box);
        if (iou > 0) candidates[j].score *= exp_f32(-(iou * iou) / options.sigma);
      }
      if (candidates[j].score > options.score)
        ++j;
      else
        swap(j, --count);
    }
  }
  return count;
}

int32_t weighted(Candidate* candidates, int32_t count, const NmsOptions& options, float* points,
                 int32_t values) noexcept {
  // Index -1 marks what went into a better box.
  int32_t survivors = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (candidates[i].index < 0) continue;
    const Candidate top = candidates[i];
    float total = top.score, box[4];
    for (int d = 0; d < 4; ++d) box[d] = top.box[d] * top.score;
    float* blended = points ? points + int64_t{i} * values : nullptr;
    for (int32_t d = 0; d < values && blended; ++d) blended[d] *= top.score;
    for (int32_t j = i + 1; j < count; ++j) {
      Candidate& other = candidates[j];
      if (other.index < 0 || !(options.agnostic || other.class_id == top.class_id) ||
          !overlaps(top.box, other.box, options.iou))
        continue;
      total += other.score;
      for (int d = 0; d < 4; ++d) box[d] += other.box[d] * other.score;
      for (int32_t d = 0; d < values && blended; ++d) blended[d] += points[int64_t{j} * values + d] * other.score;
      other.index = -1;
    }
    const float divisor = total > 0 ? total : 1.0f;
    for (int d = 0; d < 4; ++d) candidates[i].box[d] = total > 0 ? box[d] / divisor : top.box[d];
    for (int32_t d = 0; d < values && blended; ++d) blended[d] /= divisor;
    move(candidates, points, values, i, survivors++);
  }
  return survivors;
}

}  // namespace

float quad_iou(const float* a, const float* b) noexcept {
  // Clip a by each edge of b (Sutherland and Hodgman 1974); a convex polygon gains at most one corner an edge.
  const auto area_of = [](const double (*p)[2], int n) {
    double twice = 0;
    for (int i = 0; i < n; ++i) twice += p[i][0] * p[(i + 1) % n][1] - p[(i + 1) % n][0] * p[i][1];
    return twice / 2;
  };
  double clipped[16][2], next[16][2], clip[4][2];
  int count = 4;
  for (int i = 0; i < 4; ++i) {
    clipped[i][0] = a[2 * i], clipped[i][1] = a[2 * i + 1];
    clip[i][0] = b[2 * i], clip[i][1] = b[2 * i + 1];
  }
  const double area_a = std::fabs(area_of(clipped, 4)), signed_b = area_of(clip, 4), area_b = std::fabs(signed_b);
  if (!(area_a > 0) || !(area_b > 0)) return 0;
  const double side = signed_b > 0 ? 1 : -1;
  for (int edge = 0; edge < 4 && count > 0; ++edge) {
    const double* from = clip[edge];
    const double* to = clip[(edge + 1) % 4];
    const auto distance = [&](const double* p) {
      return side * ((to[0] - from[0]) * (p[1] - from[1]) - (to[1] - from[1]) * (p[0] - from[0]));
    };
    int n = 0;
    for (int i = 0; i < count && n < 15; ++i) {
      const double *p = clipped[i], *q = clipped[(i + 1) % count];
      const double dp = distance(p), dq = distance(q);
      if (dp >= 0) next[n][0] = p[0], next[n][1] = p[1], ++n;
      if ((dp > 0 && dq < 0) || (dp < 0 && dq > 0)) {
        const double t = dp / (dp - dq);
        next[n][0] = p[0] + t * (q[0] - p[0]), next[n][1] = p[1] + t * (q[1] - p[1]), ++n;
      }
    }
    count = n;
    std::memcpy(clipped, next, sizeof next);
  }
  const double shared = count > 2 ? std::fabs(area_of(clipped, count)) : 0;
  return static_cast<float>(shared / (area_a + area_b - shared));
}

double gaussian_iou(const float* a, const float* b) noexcept {
  struct Gaussian {
    double x, y, xx, yy, xy;
    explicit Gaussian(const float* q) noexcept {
      const double ux = static_cast<double>(q[2]) - static_cast<double>(q[0]),
                   uy = static_cast<double>(q[3]) - static_cast<double>(q[1]);
      const double vx = static_cast<double>(q[6]) - static_cast<double>(q[0]),
                   vy = static_cast<double>(q[7]) - static_cast<double>(q[1]);
      x = (static_cast<double>(q[0]) + static_cast<double>(q[4])) / 2,
      y = (static_cast<double>(q[1]) + static_cast<double>(q[5])) / 2;
      // Of a uniform distribution over the parallelogram.
      xx = (ux * ux + vx * vx) / 12, yy = (uy * uy + vy * vy) / 12, xy = (ux * uy + vx * vy) / 12;
    }
    double determinant() const noexcept { return std::max(xx * yy - xy * xy, 0.0); }
  };
  constexpr double kTiny = 1e-7;  // of the source: ultralytics, utils/metrics.py batch_probiou
  const Gaussian p(a), q(b);
  const double xx = p.xx + q.xx, yy = p.yy + q.yy, xy = p.xy + q.xy, dx = p.x - q.x, dy = p.y - q.y;
  const double determinant = xx * yy - xy * xy;
  const double apart = ((xx * dy * dy + yy * dx * dx) / 4 - xy * dx * dy / 2) / (determinant + kTiny);
  if (!(apart < 100)) return 0;  // 1 - sqrt(1 - e^-100); also what is not a number
  const double shapes = std::log(determinant / (4 * std::sqrt(p.determinant() * q.determinant()) + kTiny) + kTiny) / 2;
  const double distance = std::min(std::max(apart + shapes, kTiny), 100.0);
  return 1 - std::sqrt(1 - std::exp(-distance) + kTiny);
}

int32_t keep_best(Candidate* candidates, int32_t count, int32_t top_k) noexcept {
  const auto better = [](const Candidate& a, const Candidate& b) { return before(a, b); };  // inlined, unlike a pointer
  if (count > top_k) {
    std::nth_element(candidates, candidates + top_k, candidates + count, better);
    count = top_k;
  }
  std::sort(candidates, candidates + count, better);
  return count;
}

int32_t suppress(Candidate* candidates, int32_t count, const NmsOptions& options, float* points,
                 int32_t values) noexcept {
  if (options.method == Suppression::hard && options.iou >= 1)
    return count;  // nothing overlaps by more, not even itself
  switch (options.method) {
    case Suppression::fast: return fast(candidates, count, options, points, values);
    case Suppression::soft: return soft(candidates, count, options, points, values);
    case Suppression::weighted: return weighted(candidates, count, options, points, values);
    case Suppression::hard: break;
  }
  return options.rotated && points ? rotated(candidates, count, options, points, values)
                                   : hard(candidates, count, options, points, values);
}

}  // namespace mnnlite
