// YOLOX: anchor-free, one flat output [N, cells, 5 + C] over the grids of all strides, boxes not yet placed.
// Source: Ge et al. 2021 and Megvii-BaseDetection/YOLOX, yolox/utils/demo_utils.py demo_postprocess.
#include <cmath>

#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/heads/yolo.hpp"

namespace mnnlite {
namespace {

class Yolox final : public YoloHead {
 public:
  explicit Yolox(const YoloOptions& options) noexcept : YoloHead(options, 1), sigmoid_(options.sigmoid(false)) {
    cut_ = sigmoid_ ? logit_of(options_.score) : options_.score;
    batched_rank(3);
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    if (desc[0].rank != 3 || desc[0].dims[2] < 6)
      return Status::error(Code::decoder, "yolo: output \"%s\" is %s, [N, cells, 5 + classes] is wanted", desc[0].name,
                           describe(desc[0], text));
    count_ = desc[0].dims[1];
    parts_ = desc[0].dims[2];
    MNNLITE_TRY(reader_.plan(name(), desc[0], Order::flat, needs));
    needs.classes(parts_ - 5);
    ask_for_detections(needs, count_);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[0];
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    int64_t cells = 0;
    for (double stride : yolo_.strides)
      cells += static_cast<int64_t>(item.net_width / stride) * static_cast<int64_t>(item.net_height / stride);
    if (cells != count_)
      return Status::error(Code::decoder,
                           "yolo: output \"%s\" has %d cells, an input of %dx%d with the given strides has %lld",
                           tensor.name, static_cast<int>(count_), static_cast<int>(item.net_width),
                           static_cast<int>(item.net_height), static_cast<long long>(cells));
    const float* at = reader_.read(call, tensor, slot);
    Candidate* found = candidates(call);
    int32_t count = 0, index = 0;
    for (double step : yolo_.strides) {
      const int32_t columns = static_cast<int32_t>(item.net_width / step),
                    rows = static_cast<int32_t>(item.net_height / step);
      const float stride = static_cast<float>(step);
      for (int32_t y = 0; y < rows; ++y)
        for (int32_t x = 0; x < columns; ++x, ++index, at += parts_) {
          const float objectness = at[4];
          if (!std::isfinite(objectness)) return not_finite(tensor, slot, at + 4, 1);
          if (!(objectness > cut_)) continue;  // class scores are at most 1
          const RowMax best = row_max(at + 5, parts_ - 5);
          if (!best.finite) return not_finite(tensor, slot, at + 5, parts_ - 5);
          const float score = sigmoid_ ? sigmoid_f32(objectness) * sigmoid_f32(best.value) : objectness * best.value;
          if (!(score > options_.score)) continue;
          const float cx = (at[0] + static_cast<float>(x)) * stride, cy = (at[1] + static_cast<float>(y)) * stride;
          const float w = exp_f32(at[2]) * stride, h = exp_f32(at[3]) * stride;
          found[count++] = {score, best.index, index, {cx - w * 0.5f, cy - h * 0.5f, cx + w * 0.5f, cy + h * 0.5f}};
        }
    }
    return emit(call, slot, tensor, count);
  }

  bool sigmoid_;
  float cut_;
  Reader reader_;
  int32_t count_ = 0, parts_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_yolox(const YoloOptions& options) { return std::make_unique<Yolox>(options); }

}  // namespace mnnlite
