// The DETR family: class scores [N, queries, C] and boxes [N, queries, 4], or both in one output [N, queries, 4 + C]. No
// suppression: queries compete inside the network. Definition: mnnlite/reference/decode/detr.py. Sources: Carion et al. 2020
// (DETR), section 3.1; Zhao et al. 2023 (RT-DETR) and lyuwenyu/RT-DETR, rtdetr_postprocessor.py: the best of queries x classes.
#include <algorithm>
#include <cmath>

#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kActivations[] = {"sigmoid", "softmax", "none", nullptr};
constexpr const char* kBackgrounds[] = {"none", "last", "first", nullptr};
constexpr const char* kBoxes[] = {"middle", "corners", nullptr};
constexpr const char* kUnits[] = {"relative", "pixels", nullptr};
enum { kSigmoid, kSoftmax };

class Detr final : public Detector {
 public:
  explicit Detr(Options& options) : Detector("detr", 1, 2) {
    options_.score = 0.5f;
    options_.read(options);
    options_.nms.method = Suppression::hard;
    options_.nms.iou = 1;  // none
    batched_rank(3);
    activation_ = options.choice("activation", kActivations, kSigmoid);
    background_ = options.choice("background", kBackgrounds, 0);
    corners_ = options.choice("boxes", kBoxes, 0) == 1;
    relative_ = options.choice("units", kUnits, 0) == 0;
    cut_ = activation_ == kSigmoid ? logit_of(options_.score) : options_.score;
  }

 private:
  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    char text[96];
    scores_ = 0;
    boxes_ = n - 1;
    if (n == 2 && desc[0].rank == 3 && desc[1].rank == 3 && desc[0].dims[2] == 4 && desc[1].dims[2] != 4)
      scores_ = 1, boxes_ = 0;
    for (int i = 0; i < n; ++i) {
      if (desc[i].rank != 3 || pack_of(layout_of(desc[i])) > 1 || desc[i].dims[1] != desc[0].dims[1])
        return Status::error(Code::decoder,
                             "detr: output \"%s\" is %s, [N, queries, classes] and [N, queries, 4] are wanted",
                             desc[i].name, describe(desc[i], text));
      MNNLITE_TRY(readers_[i].plan(name(), desc[i], Order::flat, needs));
    }
    count_ = desc[0].dims[1];
    step_ = desc[scores_].dims[2];
    first_ = n == 1 ? 4 : 0;
    classes_ = step_ - first_;
    if (classes_ < (background_ ? 2 : 1) || (n == 2 && desc[boxes_].dims[2] != 4))
      return Status::error(
          Code::decoder,
          "detr: output \"%s\" is %s, [N, queries, classes] and [N, queries, 4] are wanted, or one of [N, queries, 4 + "
          "classes]",
          desc[0].name, describe(desc[0], text));
    needs.classes(classes_ - (background_ ? 1 : 0));
    box_step_ = desc[boxes_].dims[2];
    // Every query could be of every class; more than this are cut to the best on the way.
    room_ = static_cast<int32_t>(
        std::min<int64_t>(int64_t{count_} * classes_, std::max(int64_t{16384}, int64_t{2} * options_.nms.top_k)));
    ask_for_detections(needs, room_);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    if (relative_) MNNLITE_TRY(need_net_size(item));
    const TensorView& tensor = call.tensors[scores_];
    const float* scores = readers_[scores_].read(call, tensor, slot);
    const float* boxes = boxes_ == scores_ ? scores : readers_[boxes_].read(call, call.tensors[boxes_], slot);
    const float width = relative_ ? static_cast<float>(item.net_width) : 1.0f,
                height = relative_ ? static_cast<float>(item.net_height) : 1.0f;
    const int32_t begin = background_ == 2 ? 1 : 0, end = classes_ - (background_ == 1 ? 1 : 0);
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t q = 0; q < count_; ++q) {
      const float* row = scores + int64_t{q} * step_ + first_;
      MNNLITE_TRY(check_finite(tensor, slot, row, classes_));
      const float* box = boxes + int64_t{q} * box_step_;
      float most = 0;
      double sum = 1;
      if (activation_ == kSoftmax) {
        most = *std::max_element(row, row + classes_);
        sum = 0;
        for (int32_t c = 0; c < classes_; ++c) sum += exp_f32(row[c] - most);
      }
      for (int32_t c = begin; c < end; ++c) {
        const float value =
            activation_ == kSoftmax ? static_cast<float>(static_cast<double>(exp_f32(row[c] - most)) / sum) : row[c];
        if (!(value > cut_)) continue;
        if (count == room_) {
          call.sink.truncated = 1;
          MNNLITE_TRY(check_candidates(call.tensors[boxes_], found, count));
          count = keep_best(found, count, options_.nms.top_k);
        }
        Candidate& candidate = found[count++];
        candidate = {activation_ == kSigmoid ? sigmoid_f32(value) : value, c - begin, q, {}};
        const float half_width = corners_ ? 0 : box[2] * 0.5f, half_height = corners_ ? 0 : box[3] * 0.5f;
        candidate.box[0] = (box[0] - half_width) * width, candidate.box[1] = (box[1] - half_height) * height;
        candidate.box[2] = (corners_ ? box[2] : box[0] + half_width) * width,
        candidate.box[3] = (corners_ ? box[3] : box[1] + half_height) * height;
      }
    }
    return emit(call, slot, call.tensors[boxes_], count);
  }

  int activation_, background_, scores_ = 0, boxes_ = 1;
  bool corners_, relative_;
  float cut_;
  int32_t count_ = 0, classes_ = 0, step_ = 0, box_step_ = 4, first_ = 0, room_ = 0;
  Reader readers_[2];
};

}  // namespace

std::unique_ptr<Decoder> make_detr(Options& options) { return std::make_unique<Detr>(options); }

}  // namespace mnnlite
