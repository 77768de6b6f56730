// NanoDet: for each cell the classes and, for each side of the box, a distribution over distances whose mean is taken.
// One output per stride and part ([N, cells, C] and [N, cells, 4 (reg_max + 1)]) or all in one ([N, cells, C + 4 (...)],
// NanoDet-Plus). Definition: mnnlite/reference/decode/nanodet.py. Sources: Li et al. 2020 (Generalized Focal Loss),
// equation 6; RangiLyu/nanodet, nanodet/model/head/nanodet_plus_head.py get_bboxes and demo_mnn/nanodet_mnn.cpp.
#include <algorithm>
#include <cmath>
#include <vector>

#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr int kMostStrides = 8;

class NanoDet final : public Detector {
 public:
  explicit NanoDet(Options& options) : Detector("nanodet", 1, 2 * kMostStrides) {
    options_.score = 0.4f;
    options_.nms.iou = 0.6f;
    options_.read(options);
    strides_ = options.numbers("strides");
    reg_max_ = options.integer("reg_max", 7, 1, 64);
    offset_ = static_cast<float>(options.number("cell_offset", 0, 0, 1));
    sigmoid_ = options.flag("sigmoid", false);
    if (strides_.empty()) strides_ = {8, 16, 32, 64};
    for (double stride : strides_)
      if (!(stride >= 1 && stride <= 4096) || strides_.size() > kMostStrides)
        options.fail(Status::error(
            Code::argument, "nanodet: option \"strides\" must hold at most %d numbers in [1, 4096]", kMostStrides));
    cut_ = sigmoid_ ? logit_of(options_.score) : options_.score;
  }

 private:
  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    n_ = n;
    const int32_t bins = 4 * (reg_max_ + 1);
    char text[96];
    int64_t total = 0;
    for (int i = 0; i < n; ++i) {
      if (desc[i].rank != 3)
        return Status::error(Code::decoder, "nanodet: output \"%s\" is %s, [N, cells, numbers] is wanted", desc[i].name,
                             describe(desc[i], text));
      MNNLITE_TRY(readers_[i].plan(name(), desc[i], Order::flat, needs));
    }
    if (n == 1) {
      classes_ = desc[0].dims[2] - bins;
      if (classes_ < 1)
        return Status::error(
            Code::decoder,
            "nanodet: output \"%s\" is %s, classes and %d numbers of distances are wanted; check reg_max", desc[0].name,
            describe(desc[0], text), static_cast<int>(bins));
      total = desc[0].dims[1];
    } else {
      if (n % 2 != 0 || static_cast<size_t>(n / 2) != strides_.size())
        return Status::error(Code::decoder,
                             "nanodet: %d outputs for %zu strides; one, or classes and distances for each, are wanted",
                             n, strides_.size());
      // Classes and distances of a grid have as many cells; the finest grid comes first, whatever the order.
      for (size_t s = 0; s < strides_.size(); ++s) class_tensor_[s] = distance_tensor_[s] = -1;
      for (int i = 0; i < n; ++i) {
        size_t finer = 0;
        for (int j = 0; j < n; ++j) finer += desc[j].dims[1] > desc[i].dims[1] ? 1 : 0;
        const size_t s = finer / 2;
        int& wanted = desc[i].dims[2] == bins && distance_tensor_[s] < 0 ? distance_tensor_[s] : class_tensor_[s];
        if (finer % 2 != 0 || wanted >= 0)
          return Status::error(Code::decoder, "nanodet: output \"%s\" is %s and has no partner; check reg_max",
                               desc[i].name, describe(desc[i], text));
        wanted = i;
      }
      classes_ = desc[class_tensor_[0]].dims[2];
      for (size_t s = 0; s < strides_.size(); ++s) {
        if (distance_tensor_[s] < 0 || class_tensor_[s] < 0 || desc[class_tensor_[s]].dims[2] != classes_)
          return Status::error(
              Code::decoder,
              "nanodet: the outputs do not pair into classes and distances of each stride; check reg_max");
        total += desc[class_tensor_[s]].dims[1];
      }
    }
    needs.classes(classes_);
    count_ = static_cast<int32_t>(std::min<int64_t>(total, INT32_MAX));
    ask_for_detections(needs, total);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    const int32_t bins = 4 * (reg_max_ + 1);
    Candidate* found = candidates(call);
    int32_t count = 0, first = 0;
    for (size_t s = 0; s < strides_.size(); ++s) {
      const float stride = static_cast<float>(strides_[s]);
      const int32_t columns = static_cast<int32_t>(std::ceil(item.net_width / strides_[s]));
      const int64_t cells = int64_t{columns} * static_cast<int64_t>(std::ceil(item.net_height / strides_[s]));
      const TensorView& tensor = n_ == 1 ? call.tensors[0] : call.tensors[class_tensor_[s]];
      if (n_ == 1 ? cells > count_ - first || (s + 1 == strides_.size() && cells != count_ - first)
                  : cells != tensor.dims[1])
        return Status::error(
            Code::decoder,
            "nanodet: output \"%s\" has %d cells, which an input of %dx%d with the given strides has not", tensor.name,
            static_cast<int>(tensor.dims[1]), static_cast<int>(item.net_width), static_cast<int>(item.net_height));
      const int32_t step = n_ == 1 ? classes_ + bins : classes_;
      const float* scores =
          (n_ == 1 ? (s == 0 ? readers_[0].read(call, tensor, slot) : readers_[0].again(call, tensor, slot))
                   : readers_[class_tensor_[s]].read(call, tensor, slot)) +
          (n_ == 1 ? int64_t{first} * step : 0);
      const float* distances = n_ == 1
                                   ? scores + classes_
                                   : readers_[distance_tensor_[s]].read(call, call.tensors[distance_tensor_[s]], slot);
      const int32_t distance_step = n_ == 1 ? step : bins;
      for (int32_t cell = 0; cell < cells; ++cell, scores += step) {
        const RowMax best = row_max(scores, classes_, cut_);
        if (!best.finite) return not_finite(tensor, slot, scores, classes_);
        if (!(best.value > cut_)) continue;
        float sides[4];
        for (int side = 0; side < 4; ++side)
          sides[side] = mean(distances + int64_t{cell} * distance_step + side * (reg_max_ + 1)) * stride;
        const float cx = (static_cast<float>(cell % columns) + offset_) * stride,
                    cy = (static_cast<float>(cell / columns) + offset_) * stride;
        found[count++] = {sigmoid_ ? sigmoid_f32(best.value) : best.value,
                          best.index,
                          first + cell,
                          {std::max(cx - sides[0], 0.0f), std::max(cy - sides[1], 0.0f),
                           std::min(cx + sides[2], static_cast<float>(item.net_width)),
                           std::min(cy + sides[3], static_cast<float>(item.net_height))}};
        for (float side : sides)
          if (!std::isfinite(side)) found[count - 1].box[0] = NAN;  // clipping loses NaN
      }
      first += static_cast<int32_t>(cells);
    }
    return emit(call, slot, call.tensors[n_ == 1 ? 0 : distance_tensor_[0]], count);
  }

  // Of the softmax over distances 0, 1, ... reg_max, in strides.
  float mean(const float* logits) const noexcept {
    float most = logits[0];
    for (int32_t i = 0; i <= reg_max_; ++i) {
      if (!std::isfinite(logits[i])) return NAN;
      most = std::max(most, logits[i]);
    }
    float sum = 0, weighted = 0;
    for (int32_t i = 0; i <= reg_max_; ++i) {
      const float power = exp_f32(logits[i] - most);
      sum += power;
      weighted += power * static_cast<float>(i);
    }
    return weighted / sum;
  }

  std::vector<double> strides_;
  int32_t reg_max_;
  float offset_, cut_;
  bool sigmoid_;
  int n_ = 1;
  int32_t classes_ = 0, count_ = 0;
  int class_tensor_[kMostStrides] = {}, distance_tensor_[kMostStrides] = {};
  Reader readers_[2 * kMostStrides];
};

}  // namespace

std::unique_ptr<Decoder> make_nanodet(Options& options) { return std::make_unique<NanoDet>(options); }

}  // namespace mnnlite
