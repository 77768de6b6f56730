// What all detection heads share: their common options, and the way from candidates to rows.
#pragma once

#include "decode/common/family.hpp"
#include "decode/common/frame_box.hpp"
#include "decode/common/nms.hpp"
#include "decode/common/options.hpp"

namespace mnnlite {

struct DetectionOptions {
  float score = 0.25f;
  NmsOptions nms;
  int32_t max_detections = 300;  // a slot
  bool clip = true;

  void read(Options& options) noexcept;
};

// Points that belong to a box: corners of a plate, marks of a face, joints of a body.
struct PointLayout {
  int32_t count = 0;
  int32_t values = 2;  // per point: x, y, or x, y, confidence
  int32_t total() const noexcept { return count * values; }
};

class Detector : public BuiltIn {
 protected:
  Detector(const char* name, int min_tensors, int max_tensors) noexcept : BuiltIn(name, min_tensors, max_tensors) {}

  // Pools and scratch for heads that propose up to `candidates` boxes a slot.
  void ask_for_detections(Needs& needs, int64_t candidates) noexcept;
  Candidate* candidates(const Call& call) const noexcept { return call.at<Candidate>(candidates_); }

  // The points of a candidate in network pixels, points_.total() numbers. Called for survivors, and for all candidates
  // where the suppression needs them.
  virtual void fill_points(const Call&, int, const Candidate&, float*) const noexcept {}

  // For heads whose rows have more than a box: called for each row before it is written.
  enum class More { kept, dropped, no_room };
  virtual Status add_more(const Call&, int, const Candidate&, mnnlite_row&, More&) const noexcept { return {}; }

  // Suppress, place in the frame and write rows. `tensor` is the one that boxes come from, for error texts.
  Status emit(const Call& call, int slot, const TensorView& tensor, int32_t count) const noexcept;

  // All boxes and scores are finite, or an error that names the tensor.
  Status check_candidates(const TensorView& tensor, const Candidate* found, int32_t count) const noexcept;
  // What is wrong where a score is no probability, in words for people.
  virtual const char* likely_setting() const noexcept { return "activation, or the outputs that tensors names"; }
  Status need_net_size(const mnnlite_item& item) const noexcept;

  DetectionOptions options_;
  PointLayout points_;

 private:
  bool points_first() const noexcept {
    return points_.count > 0 && (options_.nms.rotated || options_.nms.method != Suppression::hard);
  }
  Status bad_box(const TensorView& tensor, const Candidate& candidate) const noexcept;

  size_t candidates_ = 0, point_scratch_ = 0;
};

}  // namespace mnnlite
