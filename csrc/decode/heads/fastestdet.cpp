// FastestDet: one anchor-free scale, objectness and class scores already activated by the network.
// Definition: mnnlite/reference/decode/fastestdet.py. Source: github.com/dog-qiuqiu/FastestDet,
// utils/tool.py handle_preds and example/onnx-runtime/runtime.py.
#include <cmath>

#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

class FastestDet final : public Detector {
 public:
  explicit FastestDet(Options& options) noexcept : Detector("fastestdet", 1, 1) {
    options_.score = 0.5f;
    options_.read(options);
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    if (!image_dims(desc[0], dims_) || desc[0].rank != 4 || dims_.channels < 6)
      return Status::error(Code::decoder, "%s: output \"%s\" is %s, [N, 5 + classes, rows, columns] is wanted", name(),
                           desc[0].name, describe(desc[0], text));
    MNNLITE_TRY(reader_.plan(name(), desc[0], Order::chw, needs));
    needs.classes(dims_.channels - 5);
    ask_for_detections(needs, int64_t{dims_.height} * dims_.width);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[0];
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    const int32_t area = dims_.height * dims_.width;
    const float* head = reader_.read(call, tensor, slot);
    MNNLITE_TRY(check_finite(tensor, slot, head, area));
    // score = obj^0.6 cls^0.4 and cls <= 1, so a cell whose obj^0.6 does not pass need not be looked at.
    const float least = static_cast<float>(std::pow(static_cast<double>(options_.score), 1 / 0.6)) * 0.999999f;
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t cell = 0; cell < area; ++cell) {
      const float objectness = head[cell];
      if (!(objectness > least)) continue;
      const float* column = head + cell;
      int32_t best = 0;
      float best_score = column[5 * area];
      for (int32_t c = 0; c < dims_.channels - 5; ++c) {
        const float score = column[(5 + c) * area];
        if (!std::isfinite(score)) return not_finite(tensor, slot, column + (5 + c) * area, 1);
        if (score > best_score) best = c, best_score = score;
      }
      const float score = static_cast<float>(std::pow(static_cast<double>(objectness), 0.6) *
                                             std::pow(static_cast<double>(best_score), 0.4));
      if (!(score > options_.score)) continue;
      const float columns = static_cast<float>(dims_.width), rows = static_cast<float>(dims_.height);
      const float x = static_cast<float>(cell % dims_.width), y = static_cast<float>(cell / dims_.width);
      const float net_width = static_cast<float>(item.net_width), net_height = static_cast<float>(item.net_height);
      const float cx = (x + tanh_f32(column[area])) / columns * net_width;
      const float cy = (y + tanh_f32(column[2 * area])) / rows * net_height;
      const float half_width = sigmoid_f32(column[3 * area]) * net_width * 0.5f;
      const float half_height = sigmoid_f32(column[4 * area]) * net_height * 0.5f;
      for (int d = 1; d < 5; ++d)
        if (!std::isfinite(column[d * area])) return not_finite(tensor, slot, column + d * area, 1);
      found[count++] = {score, best, cell, {cx - half_width, cy - half_height, cx + half_width, cy + half_height}};
    }
    return emit(call, slot, tensor, count);
  }

  Reader reader_;
  ImageDims dims_;
};

}  // namespace

std::unique_ptr<Decoder> make_fastestdet(Options& options) { return std::make_unique<FastestDet>(options); }

}  // namespace mnnlite
