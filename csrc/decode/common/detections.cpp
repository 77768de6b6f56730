#include "decode/common/detections.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mnnlite {
namespace {

// x - x is 0 for what is finite and NaN for all else.
bool is_finite(const Candidate& c) noexcept {
  const float zeros = (c.box[0] - c.box[0]) + (c.box[1] - c.box[1]) + (c.box[2] - c.box[2]) + (c.box[3] - c.box[3]);
  return zeros + (c.score - c.score) == 0;
}

}  // namespace

void DetectionOptions::read(Options& options) noexcept {
  static constexpr const char* kMethods[] = {"hard", "fast", "soft", "weighted", nullptr};
  score = options.probability("score", score);
  nms.iou = options.probability("iou", nms.iou);
  nms.method = static_cast<Suppression>(options.choice("nms", kMethods, static_cast<int>(nms.method)));
  nms.sigma = static_cast<float>(options.number("sigma", nms.sigma, 1e-3, 1e3));
  nms.score = score;
  nms.agnostic = options.flag("agnostic", nms.agnostic);
  nms.top_k = options.integer("top_k", nms.top_k, 1, 1 << 20);
  max_detections = options.integer("max_detections", max_detections, 1, 1 << 20);
  clip = options.flag("clip", clip);
}

void Detector::ask_for_detections(Needs& needs, int64_t candidates) noexcept {
  candidates_ = needs.scratch<Candidate>(candidates);
  if (points_first())
    point_scratch_ = needs.scratch<float>(std::min(candidates, int64_t{options_.nms.top_k}) * points_.total());
  const int64_t rows = std::min(int64_t{options_.max_detections}, candidates) * needs.max_items();
  needs.kind(points_.count > 0 && points_.values == 3 ? MNNLITE_KEYPOINTS : MNNLITE_DETECTIONS);
  needs.rows(rows);
  needs.values(rows * points_.total());
}

Status Detector::need_net_size(const mnnlite_item& item) const noexcept {
  if (item.net_width > 0 && item.net_height > 0) return {};
  return Status::error(Code::decoder, "%s needs the size of the network's input; give the decoder an image spec",
                       name());
}

Status Detector::bad_box(const TensorView& tensor, const Candidate& candidate) const noexcept {
  const float* box = candidate.box;
  return Status::error(Code::decoder, "%s: output \"%s\" gives candidate %d a box that is not finite (%g, %g, %g, %g)",
                       name(), tensor.name, static_cast<int>(candidate.index), static_cast<double>(box[0]),
                       static_cast<double>(box[1]), static_cast<double>(box[2]), static_cast<double>(box[3]));
}

Status Detector::check_candidates(const TensorView& tensor, const Candidate* found, int32_t count) const noexcept {
  for (int32_t i = 0; i < count; ++i)
    if (!is_finite(found[i])) return bad_box(tensor, found[i]);
  return {};
}

Status Detector::emit(const Call& call, int slot, const TensorView& tensor, int32_t count) const noexcept {
  mnnlite_sink& sink = call.sink;
  const mnnlite_item& item = call.items[slot];
  Candidate* found = candidates(call);
  if (count > options_.nms.top_k) sink.truncated = 1;
  MNNLITE_TRY(check_candidates(tensor, found, count));
  count = keep_best(found, count, options_.nms.top_k);
  if (count > 0 && found[0].score > kMostProbability) return not_probability(tensor, found[0].score, likely_setting());
  float* all_points = nullptr;
  if (points_first()) {
    all_points = call.at<float>(point_scratch_);
    for (int32_t i = 0; i < count; ++i) fill_points(call, slot, found[i], all_points + int64_t{i} * points_.total());
  }
  count = suppress(found, count, options_.nms, all_points, all_points ? points_.total() : 0);

  const Mapping mapping = mapping_of(item);
  int32_t written = 0;
  for (int32_t i = 0; i < count; ++i) {
    mnnlite_row row{};
    if (!box_in_frame(mapping, item, found[i].box, options_.clip, row.box)) continue;
    if (written == options_.max_detections) {
      ++sink.found;
      sink.truncated = 1;
      continue;
    }
    More more = More::kept;
    MNNLITE_TRY(add_more(call, slot, found[i], row, more));
    if (more == More::dropped) continue;
    ++sink.found;
    if (more == More::no_room) {
      sink.truncated = 1;
      continue;
    }
    ++written;
    row.item = item.item;
    row.class_id = found[i].class_id;
    row.score = found[i].score;
    row.parent = -1;
    if (points_.count > 0) {
      row.first_value = sink.value_count;
      row.value_count = points_.total();
      float* values = sink.values + sink.value_count;
      if (all_points)
        std::memcpy(values, all_points + int64_t{i} * points_.total(),
                    static_cast<size_t>(points_.total()) * sizeof(float));
      else
        fill_points(call, slot, found[i], values);
      for (int32_t k = 0; k < points_.count; ++k) {
        float* point = values + k * points_.values;
        double x, y;
        mapping.apply(point[0], point[1], x, y);
        point[0] = static_cast<float>(x);
        point[1] = static_cast<float>(y);
        if (!std::isfinite(point[0]) || !std::isfinite(point[1]) || !std::isfinite(point[points_.values - 1]))
          return Status::error(Code::decoder, "%s: output \"%s\" has a point that is not finite at candidate %d",
                               name(), tensor.name, static_cast<int>(found[i].index));
      }
      sink.value_count += points_.total();
    }
    sink.rows[sink.row_count++] = row;
  }
  return {};
}

}  // namespace mnnlite
