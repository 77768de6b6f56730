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

struct NmsOptions {
  float iou = 0.45f;      // a box is dropped if its overlap with a better one is larger
  bool agnostic = false;  // boxes of different classes suppress one another too
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

// Move the best `top_k` to the front, in order. Returns how many there are.
int32_t keep_best(Candidate* candidates, int32_t count, int32_t top_k) noexcept;

// Greedy suppression in place: survivors end up at the front, best first. Returns how many survive.
int32_t nms(Candidate* candidates, int32_t count, const NmsOptions& options) noexcept;

}  // namespace mnnlite
