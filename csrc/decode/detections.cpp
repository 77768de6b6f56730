#include "decode/detections.hpp"

namespace mnnlite {

Status check_box(const char* family, const TensorView& tensor, const Candidate& candidate) noexcept {
  const float* box = candidate.box;
  if (std::isfinite(box[0]) && std::isfinite(box[1]) && std::isfinite(box[2]) && std::isfinite(box[3]) &&
      std::isfinite(candidate.score))
    return {};
  return Status::error(Code::decoder, "%s: output \"%s\" gives candidate %d a box that is not finite (%g, %g, %g, %g)",
                       family, tensor.name ? tensor.name : "?", static_cast<int>(candidate.index),
                       static_cast<double>(box[0]), static_cast<double>(box[1]), static_cast<double>(box[2]),
                       static_cast<double>(box[3]));
}

}  // namespace mnnlite
