// What all detection heads share: their common options, and the way from candidates to rows.
#pragma once

#include "decode/family.hpp"
#include "decode/nms.hpp"
#include "decode/options.hpp"
#include "decode/place.hpp"

namespace mnnlite {

struct DetectionOptions {
  float score = 0.25f;
  NmsOptions nms;
  int32_t max_detections = 300;  // a slot
  bool clip = true;

  void read(Options& options) noexcept {
    score = options.probability("score", score);
    nms.iou = options.probability("iou", nms.iou);
    nms.agnostic = options.flag("agnostic", nms.agnostic);
    nms.top_k = options.integer("top_k", nms.top_k, 1);
    max_detections = options.integer("max_detections", max_detections, 1, 1 << 20);
    clip = options.flag("clip", clip);
  }
};

// Fills the points of a survivor in network pixels.
struct NoPoints {
  void operator()(const Candidate&, float*) const noexcept {}
};

Status check_box(const char* family, const TensorView& tensor, const Candidate& candidate) noexcept;

// Suppress, place in the frame and write rows. `tensor` is the one that boxes come from, for error texts.
template <class Points = NoPoints>
Status emit_detections(const Call& call, const mnnlite_item& item, const char* family, const TensorView& tensor,
                       const DetectionOptions& options, Candidate* candidates, int32_t count, int32_t n_points = 0,
                       Points points = {}) noexcept {
  mnnlite_sink& sink = call.sink;
  if (count > options.nms.top_k) sink.truncated = 1;
  for (int32_t i = 0; i < count; ++i) MNNLITE_TRY(check_box(family, tensor, candidates[i]));
  count = nms(candidates, count, options.nms);
  const Mapping mapping = mapping_of(item);
  int32_t written = 0;
  for (int32_t i = 0; i < count; ++i) {
    mnnlite_row row{};
    if (!place_box(mapping, item, candidates[i].box, options.clip, row.box)) continue;
    ++sink.found;
    if (written == options.max_detections) {
      sink.truncated = 1;
      continue;
    }
    ++written;
    row.item = item.item;
    row.class_id = candidates[i].class_id;
    row.score = candidates[i].score;
    row.parent = -1;
    if (n_points > 0) {
      row.first_value = sink.value_count;
      row.value_count = 2 * n_points;
      float* values = sink.values + sink.value_count;
      points(candidates[i], values);
      for (int32_t k = 0; k < n_points; ++k) {
        double x, y;
        mapping.apply(values[2 * k], values[2 * k + 1], x, y);
        values[2 * k] = static_cast<float>(x);
        values[2 * k + 1] = static_cast<float>(y);
        if (!std::isfinite(values[2 * k]) || !std::isfinite(values[2 * k + 1]))
          return Status::error(Code::decoder, "%s: output \"%s\" has a point that is not finite at candidate %d", family,
                               tensor.name, static_cast<int>(candidates[i].index));
      }
      sink.value_count += 2 * n_points;
    }
    sink.rows[sink.row_count++] = row;
  }
  return {};
}

}  // namespace mnnlite
