// RetinaFace: boxes [N, A, 4], scores [N, A, 2] and, if there, points [N, A, 2 points], relative to priors; also without a
// batch. Definition: mnnlite/reference/decode/retinaface.py. Source: Deng et al. 2019 (RetinaFace) and
// biubug6/Pytorch_Retinaface, layers/functions/prior_box.py and utils/box_utils.py decode, decode_landm.
#include <algorithm>
#include <cmath>
#include <vector>

#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"
#include "decode/heads/grids.hpp"

namespace mnnlite {
namespace {

constexpr const char* kActivations[] = {"none", "softmax", nullptr};
constexpr float kCentre = 0.1f, kSize = 0.2f;  // variances

class RetinaFace final : public Detector {
 public:
  explicit RetinaFace(Options& options) : Detector("retinaface", 2, 3) {
    options_.score = 0.5f;
    batched_rank(3);
    options_.nms.iou = 0.4f;
    options_.read(options);
    strides_ = read_strides(options, {8, 16, 32});
    sizes_ = options.numbers("min_sizes");
    if (sizes_.empty()) sizes_ = {16, 32, 64, 128, 256, 512};
    bool fine = sizes_.size() % strides_.size() == 0 && sizes_.size() <= 64;
    for (double size : sizes_) fine = fine && size > 0 && size <= 16384;
    if (!fine)
      options.fail(Status::error(Code::argument,
                                 "retinaface: option \"min_sizes\" must hold as many sizes in pixels for each stride"));
    softmax_ = options.choice("activation", kActivations, 0) == 1;
  }

 private:
  enum { kBoxes, kScores, kPoints };

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    char text[96];
    std::fill(tensor_, tensor_ + 3, -1);
    points_.count = 0;
    for (int i = 0; i < n; ++i) {
      const TensorView& view = desc[i];
      const int32_t numbers = view.rank == 3 ? view.dims[2] : 0;
      const int part = numbers == 4 ? kBoxes : numbers == 2 ? kScores : kPoints;
      if (numbers < 2 || numbers % 2 != 0 || pack_of(layout_of(view)) > 1 || tensor_[part] >= 0 ||
          (i > 0 && view.dims[1] != count_))
        return Status::error(Code::decoder,
                             "retinaface: output \"%s\" is %s; boxes [N, A, 4], scores [N, A, 2] and points [N, A, 2 a "
                             "point] are wanted",
                             desc[i].name, describe(desc[i], text));
      count_ = view.dims[1];
      tensor_[part] = i;
      if (part == kPoints) points_.count = numbers / 2;
      MNNLITE_TRY(readers_[i].plan(name(), view, Order::flat, needs));
    }
    if (tensor_[kBoxes] < 0 || tensor_[kScores] < 0)
      return Status::error(Code::decoder,
                           "retinaface: boxes [N, A, 4] and scores [N, A, 2] are wanted, one of them is missing");
    ask_for_detections(needs, count_);
    return {};
  }

  struct Prior {
    float cx, cy, side;  // pixels
  };

  // The prior of an index: row by row, cell by cell, size by size. False: the input has not that many.
  bool prior_of(const mnnlite_item& item, int64_t index, Prior& prior) const noexcept {
    const auto per_cell = static_cast<int64_t>(sizes_.size() / strides_.size());
    for (size_t s = 0; s < strides_.size(); ++s) {
      const auto columns = static_cast<int64_t>(std::ceil(item.net_width / strides_[s])),
                 rows = static_cast<int64_t>(std::ceil(item.net_height / strides_[s]));
      const int64_t here = columns * rows * per_cell;
      if (index >= here) {
        index -= here;
        continue;
      }
      const int64_t cell = index / per_cell;
      prior.cx = static_cast<float>((static_cast<double>(cell % columns) + 0.5) * strides_[s]);
      prior.cy = static_cast<float>((static_cast<double>(cell / columns) + 0.5) * strides_[s]);
      prior.side =
          static_cast<float>(sizes_[s * static_cast<size_t>(per_cell) + static_cast<size_t>(index % per_cell)]);
      return true;
    }
    return false;
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    Prior prior{};
    if (!prior_of(item, count_ - 1, prior) || prior_of(item, count_, prior))
      return Status::error(Code::decoder,
                           "retinaface: the outputs have %d priors, an input of %dx%d with the given strides and sizes "
                           "has another number",
                           static_cast<int>(count_), static_cast<int>(item.net_width),
                           static_cast<int>(item.net_height));
    const float* numbers[3] = {};
    for (int part = 0; part < 3; ++part)
      if (tensor_[part] >= 0) numbers[part] = readers_[tensor_[part]].read(call, call.tensors[tensor_[part]], slot);
    MNNLITE_TRY(check_finite(call.tensors[tensor_[kScores]], slot, numbers[kScores], int64_t{2} * count_));
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t i = 0; i < count_; ++i) {
      const float* pair = numbers[kScores] + int64_t{2} * i;
      const float score = softmax_ ? sigmoid_f32(pair[1] - pair[0]) : pair[1];
      if (!(score > options_.score) || !prior_of(item, i, prior)) continue;
      const float* raw = numbers[kBoxes] + int64_t{4} * i;
      const float cx = prior.cx + raw[0] * kCentre * prior.side, cy = prior.cy + raw[1] * kCentre * prior.side;
      const float w = prior.side * exp_f32(raw[2] * kSize), h = prior.side * exp_f32(raw[3] * kSize);
      Candidate& candidate = found[count++];
      candidate = {score, 0, i, {cx - w * 0.5f, cy - h * 0.5f, cx + w * 0.5f, cy + h * 0.5f}};
      if (!std::isfinite(raw[2]) || !std::isfinite(raw[3])) candidate.box[0] = NAN;  // exp_f32 ends where floats do
    }
    return emit(call, slot, call.tensors[tensor_[kBoxes]], count);
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    const int tensor = tensor_[kPoints];
    const float* raw =
        readers_[tensor].again(call, call.tensors[tensor], slot) + int64_t{candidate.index} * 2 * points_.count;
    Prior prior{};
    prior_of(call.items[slot], candidate.index, prior);
    for (int32_t k = 0; k < points_.count; ++k) {
      values[2 * k] = prior.cx + raw[2 * k] * kCentre * prior.side;
      values[2 * k + 1] = prior.cy + raw[2 * k + 1] * kCentre * prior.side;
    }
  }

  std::vector<double> strides_, sizes_;
  bool softmax_;
  int tensor_[3] = {-1, -1, -1};
  int32_t count_ = 0;
  Reader readers_[3];
};

}  // namespace

std::unique_ptr<Decoder> make_retinaface(Options& options) { return std::make_unique<RetinaFace>(options); }

}  // namespace mnnlite
