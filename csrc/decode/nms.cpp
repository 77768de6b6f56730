#include "decode/nms.hpp"

#include <algorithm>

namespace mnnlite {

int32_t keep_best(Candidate* candidates, int32_t count, int32_t top_k) noexcept {
  if (count > top_k) {
    std::nth_element(candidates, candidates + top_k, candidates + count, before);
    count = top_k;
  }
  std::sort(candidates, candidates + count, before);
  return count;
}

int32_t nms(Candidate* candidates, int32_t count, const NmsOptions& options) noexcept {
  count = keep_best(candidates, count, options.top_k);
  int32_t kept = 0;
  for (int32_t i = 0; i < count; ++i) {
    const Candidate candidate = candidates[i];
    bool suppressed = false;
    for (int32_t k = 0; k < kept && !suppressed; ++k)
      suppressed = (options.agnostic || candidates[k].class_id == candidate.class_id) &&
                   overlaps(candidates[k].box, candidate.box, options.iou);
    if (!suppressed) candidates[kept++] = candidate;
  }
  return kept;
}

}  // namespace mnnlite
