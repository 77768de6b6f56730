// The options that all heads of the YOLO family share; each version's way to read its outputs has a file of its own.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "decode/common/detections.hpp"
#include "decode/heads/instance_masks.hpp"

namespace mnnlite {

struct YoloOptions {
  DetectionOptions detection;
  PointLayout points;
  bool rotated = false;          // v8: the last channel is an angle
  bool relative = false;         // boxes are fractions of the network's input
  bool relative_points = false;  // and so are points and corners
  int activation = 0;            // 0: as the version's usual export; 1: none; 2: sigmoid
  int transposed = 0;            // v8: 0: the longer axis is the candidates; 1: channels last; 2: channels first
  std::vector<double> strides;   // yolox
  std::vector<double> anchors;   // v3, v5 grids: width, height in network pixels, finest grid first
  const char* columns = "";      // end2end
  bool masks = false;            // coefficients after all else, and prototypes as the second output
  int64_t mask_room = 0;         // bytes of masks, a slot

  bool sigmoid(bool usual) const noexcept { return activation == 0 ? usual : activation == 2; }
};

// Top-left, top-right, bottom-right, bottom-left of the box before it is turned by its angle (radians, from x to y), scaled
// by width and height.
inline void turned_corners(float cx, float cy, float w, float h, float angle, float width, float height,
                           float* corners) noexcept {
  const double cosine = std::cos(static_cast<double>(angle)), sine = std::sin(static_cast<double>(angle));
  const double half_width = static_cast<double>(w) / 2, half_height = static_cast<double>(h) / 2;
  constexpr int kSides[4][2] = {{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
  for (int k = 0; k < 4; ++k) {
    const double x = kSides[k][0] * half_width, y = kSides[k][1] * half_height;
    corners[2 * k] = static_cast<float>((cx + x * cosine - y * sine) * width);
    corners[2 * k + 1] = static_cast<float>((cy + x * sine + y * cosine) * height);
  }
}

inline void box_around(const float* corners, float* box) noexcept {
  for (int d = 0; d < 2; ++d) {
    box[d] = std::min(std::min(corners[d], corners[2 + d]), std::min(corners[4 + d], corners[6 + d]));
    box[2 + d] = std::max(std::max(corners[d], corners[2 + d]), std::max(corners[4 + d], corners[6 + d]));
  }
  if (!std::isfinite(corners[0] + corners[1] + corners[2] + corners[3])) box[0] = NAN;  // min and max lose NaN
}

// The box of a middle and a size, scaled by width and height.
inline void box_of(float cx, float cy, float w, float h, float width, float height, float* box) noexcept {
  box[0] = (cx - w * 0.5f) * width, box[1] = (cy - h * 0.5f) * height;
  box[2] = (cx + w * 0.5f) * width, box[3] = (cy + h * 0.5f) * height;
}

class YoloHead : public Detector {
 protected:
  YoloHead(const YoloOptions& options, int max_tensors) noexcept
      : Detector("yolo", options.masks ? 2 : 1, options.masks ? 2 : max_tensors), yolo_(options) {
    options_ = options.detection;
    points_ = options.points;
  }
  // Width and height that box coordinates are multiplied with.
  Status units(const mnnlite_item& item, float& width, float& height) const noexcept {
    width = height = 1;
    if (!yolo_.relative) return {};
    MNNLITE_TRY(need_net_size(item));
    width = static_cast<float>(item.net_width);
    height = static_cast<float>(item.net_height);
    return {};
  }

  // Before anything of a slot is read: masks begin, and what box coordinates are multiplied with.
  Status begin(const Call& call, int slot, float& width, float& height) const noexcept {
    begin_masks(call, slot);
    return units(call.items[slot], width, height);
  }
  // What coordinates of points and of turned corners are multiplied with.
  void point_units(const mnnlite_item& item, float& width, float& height) const noexcept {
    width = yolo_.relative_points ? static_cast<float>(item.net_width) : 1.0f;
    height = yolo_.relative_points ? static_cast<float>(item.net_height) : 1.0f;
  }
  // The numbers `value(k)` of a candidate's points, the first two of each point in these units.
  template <class Value>
  void scale_points(float width, float height, float* values, Value value) const noexcept {
    for (int32_t k = 0; k < points_.total(); ++k) {
      const int32_t part = k % points_.values;
      values[k] = value(k) * (part == 0 ? width : part == 1 ? height : 1.0f);
    }
  }

  const char* likely_setting() const noexcept override {
    return "version, channels, columns or activation (\"sigmoid\")";
  }

  // With masks: which of the two outputs are the prototypes, and the room for masks. Boxes are in `boxes_`.
  Status ask_for_masks(const TensorView* desc, Needs& needs) noexcept {
    if (!yolo_.masks) return {};
    boxes_ = desc[0].rank == 4 && desc[1].rank != 4 ? 1 : 0;
    return masks_.plan(name(), desc[1 - boxes_], yolo_.mask_room, options_.max_detections, needs);
  }
  int32_t coefficients() const noexcept { return masks_.coefficients(); }
  void begin_masks(const Call& call, int slot) const noexcept {
    if (masks_.active()) masks_.begin(call, call.tensors[1 - boxes_], slot);
  }
  void finish_needs(Needs& needs) const noexcept {
    if (masks_.active()) needs.kind(MNNLITE_INSTANCES);
  }
  // The mask's coefficients of a candidate, as far apart as they lie.
  struct Weights {
    const float* first;
    int64_t step;
  };
  virtual Weights weights_of(const Call&, int, const Candidate&) const noexcept { return {nullptr, 0}; }

  Status add_more(const Call& call, int slot, const Candidate& candidate, mnnlite_row& row,
                  More& more) const noexcept override {
    if (!masks_.active()) return {};
    const TensorView& prototypes = call.tensors[1 - boxes_];
    const Weights from = weights_of(call, slot, candidate);
    float* weights = masks_.scratch(call);
    for (int32_t c = 0; c < coefficients(); ++c) weights[c] = from.first[c * from.step];
    switch (masks_.write(call, prototypes, slot, candidate.box, row)) {
      case InstanceMasks::kWritten: break;
      case InstanceMasks::kEmpty: more = More::dropped; break;
      case InstanceMasks::kNoRoom: more = More::no_room; break;
      case InstanceMasks::kNotFinite:
        return Status::error(Code::decoder,
                             "yolo: output \"%s\" or the coefficients of candidate %d give a mask that is not finite",
                             prototypes.name, static_cast<int>(candidate.index));
    }
    return {};
  }

  YoloOptions yolo_;
  InstanceMasks masks_;
  int boxes_ = 0;  // the output with boxes
};

std::unique_ptr<Decoder> make_yolo_planes(const YoloOptions& options);            // v8
std::unique_ptr<Decoder> make_yolo_anchors(const YoloOptions& options, bool v3);  // v3, v5
std::unique_ptr<Decoder> make_yolox(const YoloOptions& options);
std::unique_ptr<Decoder> make_yolo_end2end(const YoloOptions& options);

}  // namespace mnnlite
