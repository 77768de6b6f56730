// YOLOv8, v9, v11: no objectness; one channel a number, the candidates side by side: 4 of the box, C classes, then key
// points or an angle. Source: ultralytics, nn/modules/head.py Detect, Pose and OBB (their exported output) and
// utils/ops.py xywhr2xyxyxyxy.
#include <algorithm>
#include <cmath>

#include "decode/common/channel_argmax.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/heads/yolo.hpp"

namespace mnnlite {
namespace {

class YoloPlanes final : public YoloHead {
 public:
  explicit YoloPlanes(const YoloOptions& options) noexcept : YoloHead(options, 1), sigmoid_(options.sigmoid(false)) {
    cut_ = sigmoid_ ? logit_of(options_.score) : options_.score;
    if (!options.masks) batched_rank(3);
  }

 private:
  static constexpr int32_t kBlock = 1024;  // candidates looked at together

  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(ask_for_masks(desc, needs));
    const TensorView& tensor = desc[boxes_];
    // Axes of 1 after the first mean nothing.
    int32_t axes[MNNLITE_MAX_RANK], n = 0;
    for (int axis = 1; axis < tensor.rank; ++axis)
      if (tensor.dims[axis] > 1 || (tensor.rank == 3)) axes[n++] = tensor.dims[axis];
    const int32_t extra = (yolo_.rotated ? 1 : points_.total()) + coefficients();
    char text[96];
    if (n == 2) {
      const auto fits = [&](int32_t channels) { return names() > 0 && channels - 4 - extra == names(); };
      if (yolo_.transposed == 0 && fits(axes[0]) == fits(axes[1]) && axes[0] == axes[1])
        return Status::error(
            Code::decoder,
            "yolo: output \"%s\" is %s, and both axes fit 4 + classes; say which one by channels=\"first\" or "
            "\"last\"",
            tensor.name, describe(tensor, text));
      // Names tell; without them the candidates are more than the channels.
      last_ = yolo_.transposed != 0            ? yolo_.transposed == 1
              : fits(axes[0]) != fits(axes[1]) ? fits(axes[1])
                                               : axes[1] < axes[0];
      channels_ = last_ ? axes[1] : axes[0];
      count_ = last_ ? axes[0] : axes[1];
      classes_ = channels_ - 4 - extra;
    }
    if (n != 2 || classes_ < 1)
      return Status::error(Code::decoder,
                           "yolo: output \"%s\" is %s, [N, %d + classes, candidates] is wanted (or its last two axes "
                           "swapped; say so by channels)",
                           tensor.name, describe(tensor, text), static_cast<int>(4 + extra));
    MNNLITE_TRY(reader_.plan(name(), tensor, Order::flat, needs));
    needs.classes(classes_);
    best_ = needs.scratch<float>(kBlock);
    index_ = needs.scratch<int32_t>(kBlock);
    hits_ = needs.scratch<int32_t>(kBlock);
    ask_for_detections(needs, count_);
    finish_needs(needs);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[boxes_];
    float width, height;
    MNNLITE_TRY(begin(call, slot, width, height));
    const float* head = reader_.read(call, tensor, slot);
    Candidate* found = candidates(call);
    int32_t count = 0;
    if (last_) {
      for (int32_t i = 0; i < count_; ++i) {
        const RowMax best = row_max(head + int64_t{i} * channels_ + 4, classes_, cut_);
        if (!best.finite) return not_finite(tensor, slot, head + int64_t{i} * channels_ + 4, classes_);
        if (best.value > cut_) add(head, i, best.value, best.index, width, height, found[count++]);
      }
      return emit(call, slot, tensor, count);
    }
    float* best = call.at<float>(best_);
    int32_t *index = call.at<int32_t>(index_), *hits = call.at<int32_t>(hits_);
    for (int32_t start = 0; start < count_; start += kBlock) {
      const int32_t n = std::min(kBlock, count_ - start);
      const float* scores = head + int64_t{4} * count_ + start;
      if (!channel_argmax(scores, classes_, count_, n, best, index))
        return not_finite(tensor, slot, head + int64_t{4} * count_, int64_t{classes_} * count_);
      const int32_t n_hits = above(best, n, cut_, hits);
      for (int32_t k = 0; k < n_hits; ++k)
        add(head, start + hits[k], best[hits[k]], index[hits[k]], width, height, found[count++]);
    }
    return emit(call, slot, tensor, count);
  }

  float at(const float* head, int32_t i, int32_t channel) const noexcept {
    return last_ ? head[int64_t{i} * channels_ + channel] : head[int64_t{channel} * count_ + i];
  }

  void add(const float* head, int32_t i, float score, int32_t class_id, float width, float height,
           Candidate& out) const noexcept {
    out = {sigmoid_ ? sigmoid_f32(score) : score, class_id, i, {}};
    if (yolo_.rotated) {
      float corners[8];
      corners_of(head, i, width, height, corners);
      box_around(corners, out.box);
      return;
    }
    box_of(at(head, i, 0), at(head, i, 1), at(head, i, 2), at(head, i, 3), width, height, out.box);
  }

  void corners_of(const float* head, int32_t i, float width, float height, float* corners) const noexcept {
    turned_corners(at(head, i, 0), at(head, i, 1), at(head, i, 2), at(head, i, 3), at(head, i, channels_ - 1), width,
                   height, corners);
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    const float* head = reader_.again(call, call.tensors[boxes_], slot);
    float width, height;
    point_units(call.items[slot], width, height);
    if (yolo_.rotated) return corners_of(head, candidate.index, width, height, values);
    scale_points(width, height, values, [&](int32_t k) { return at(head, candidate.index, 4 + classes_ + k); });
  }

  Weights weights_of(const Call& call, int slot, const Candidate& candidate) const noexcept override {
    const float* head = reader_.again(call, call.tensors[boxes_], slot);
    const int64_t first = channels_ - coefficients();
    if (last_) return {head + int64_t{candidate.index} * channels_ + first, 1};
    return {head + first * count_ + candidate.index, count_};
  }

  bool sigmoid_, last_ = false;
  float cut_;
  Reader reader_;
  int32_t channels_ = 0, count_ = 0, classes_ = 0;
  size_t best_ = 0, index_ = 0, hits_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_yolo_planes(const YoloOptions& options) { return std::make_unique<YoloPlanes>(options); }

}  // namespace mnnlite
