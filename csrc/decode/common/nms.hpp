// Candidates of a detection head and non-maximum suppression.
#pragma once

#include <cstdint>

namespace mnnlite {

struct Candidate {
  float score;
  int32_t class_id;
  int32_t index;  // where in the head it comes from: breaks ties, and leads back to its key points
  float box[4];   // x1, y1, x2, y2 in network pixels
};

// The one order of candidates everywhere: better score first, then lower index, then lower class.
inline bool before(const Candidate& a, const Candidate& b) noexcept {
  if (a.score != b.score) return a.score > b.score;
  if (a.index != b.index) return a.index < b.index;
  return a.class_id < b.class_id;
}

enum class Suppression : int32_t {
  hard,      // a box goes if a better one overlaps it by more than `iou`
  fast,      // Bolya et al. 2019 (YOLACT), 3.3: as hard, but boxes that went suppress others too
  soft,      // Bodla et al. 2017: its score is multiplied by exp(-iou^2 / sigma); `iou` is not used
  weighted,  // MediaPipe: boxes that overlap by more than `iou` are averaged, weighted by their scores
};

struct NmsOptions {
  Suppression method = Suppression::hard;
  float iou = 0.45f;
  float sigma = 0.5f;
  float score = 0;        // soft: what falls to this or below goes
  bool agnostic = false;  // boxes of different classes affect one another too
  bool rotated = false;   // overlap is that of the quadrilaterals in `points`; hard and fast only
  bool gaussian = false;  // rotated: overlap is that of the Gaussians of the quadrilaterals
  int32_t top_k = 1000;   // candidates that enter, the best
};

// Intersection over union of x1, y1, x2, y2 boxes is larger than `iou`; false for empty boxes.
inline bool overlaps(const float* a, const float* b, float iou) noexcept {
  const float width = (a[2] < b[2] ? a[2] : b[2]) - (a[0] > b[0] ? a[0] : b[0]);
  const float height = (a[3] < b[3] ? a[3] : b[3]) - (a[1] > b[1] ? a[1] : b[1]);
  if (!(width > 0 && height > 0)) return false;
  const float shared = width * height;
  const float joined = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
  return shared > iou * joined;
}

// Area shared by two convex quadrilaterals of 4 x, y pairs, over that of their union; 0 for degenerate ones.
float quad_iou(const float* a, const float* b) noexcept;

// How alike the Gaussians of two parallelograms are (ProbIoU: Llerena et al. 2021, 1 - the Hellinger distance, with the
// covariances of uniform boxes), in [0, 1].
double gaussian_iou(const float* a, const float* b) noexcept;

// Move the best `top_k` to the front, in order. Returns how many there are.
int32_t keep_best(Candidate* candidates, int32_t count, int32_t top_k) noexcept;

// Suppression in place among `count` candidates that are in order: survivors end up at the front, best first.
// `points`: `values` numbers per candidate, in the candidates' order, moved (and blended) along with them; may be null.
// Returns how many survive.
int32_t suppress(Candidate* candidates, int32_t count, const NmsOptions& options, float* points = nullptr,
                 int32_t values = 0) noexcept;

// keep_best and suppress.
inline int32_t nms(Candidate* candidates, int32_t count, const NmsOptions& options) noexcept {
  return suppress(candidates, keep_best(candidates, count, options.top_k), options);
}

}  // namespace mnnlite
