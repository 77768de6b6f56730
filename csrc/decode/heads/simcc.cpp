// SimCC: for each key point the scores of its column and of its row. Definition: mnnlite/reference/decode/simcc.py. Source: Li
// et al. 2022 (SimCC), section 3.2; open-mmlab mmpose, mmpose/codecs/utils/post_processing.py get_simcc_maximum.
#include <algorithm>
#include <cmath>

#include "decode/common/frame_box.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kConfidences[] = {"smaller", "mean", nullptr};

class SimCC final : public BuiltIn {
 public:
  explicit SimCC(Options& options) : BuiltIn("simcc", 2, 2) {
    batched_rank(3);
    mean_ = options.choice("confidence", kConfidences, 0) == 1;
    score_ = static_cast<float>(options.number("score", 0, -1e30, 1e30));
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    for (int axis = 0; axis < 2; ++axis) {
      const TensorView& tensor = desc[axis];
      if (tensor.rank != 3 || pack_of(layout_of(tensor)) > 1 || tensor.dims[1] != desc[0].dims[1])
        return Status::error(
            Code::decoder,
            "simcc: output \"%s\" is %s, [N, points, columns] and [N, points, rows] are wanted, of as many points",
            tensor.name, describe(tensor, text));
      MNNLITE_TRY(readers_[axis].plan(name(), tensor, Order::flat, needs));
      bins_[axis] = tensor.dims[2];
    }
    count_ = desc[0].dims[1];
    needs.kind(MNNLITE_KEYPOINTS);
    needs.rows(needs.max_items());
    needs.values(int64_t{3} * count_ * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    mnnlite_sink& sink = call.sink;
    if (item.net_width < 1 || item.net_height < 1)
      return Status::error(Code::decoder,
                           "simcc needs the size of the network's input; give the decoder an image spec");
    const float* scores[2];
    for (int axis = 0; axis < 2; ++axis) scores[axis] = readers_[axis].read(call, call.tensors[axis], slot);
    const double unit[2] = {static_cast<double>(item.net_width) / bins_[0],
                            static_cast<double>(item.net_height) / bins_[1]};
    const Mapping mapping = mapping_of(item);
    float* values = sink.values + sink.value_count;
    double total = 0, low[2] = {1e300, 1e300}, high[2] = {-1e300, -1e300};
    for (int32_t k = 0; k < count_; ++k) {
      RowMax best[2];
      for (int axis = 0; axis < 2; ++axis) {
        const float* row = scores[axis] + int64_t{k} * bins_[axis];
        best[axis] = row_max(row, bins_[axis]);
        if (!best[axis].finite) return not_finite(call.tensors[axis], slot, row, bins_[axis]);
      }
      double at[2];
      mapping.apply(best[0].index * unit[0], best[1].index * unit[1], at[0], at[1]);
      const float confidence = mean_ ? (best[0].value + best[1].value) * 0.5f : std::min(best[0].value, best[1].value);
      float* point = values + int64_t{3} * k;
      point[0] = static_cast<float>(at[0]), point[1] = static_cast<float>(at[1]), point[2] = confidence;
      if (!std::isfinite(point[0]) || !std::isfinite(point[1]) || !std::isfinite(confidence))
        return Status::error(Code::decoder, "simcc: a point is not finite at index %d", static_cast<int>(k));
      total += confidence;
      for (int axis = 0; axis < 2; ++axis)
        low[axis] = std::min(low[axis], at[axis]), high[axis] = std::max(high[axis], at[axis]);
    }
    mnnlite_row row{};
    row.item = item.item;
    row.class_id = row.parent = -1;
    row.score = static_cast<float>(total / count_);
    if (!(row.score >= score_) || !std::isfinite(row.score)) return {};
    row.box[0] = static_cast<float>(low[0]), row.box[1] = static_cast<float>(low[1]);
    row.box[2] = static_cast<float>(high[0]), row.box[3] = static_cast<float>(high[1]);
    row.first_value = sink.value_count;
    row.value_count = 3 * count_;
    sink.value_count += row.value_count;
    sink.rows[sink.row_count++] = row;
    ++sink.found;
    return {};
  }

  bool mean_;
  float score_;
  int32_t count_ = 0, bins_[2] = {};
  Reader readers_[2];
};

}  // namespace

std::unique_ptr<Decoder> make_simcc(Options& options) { return std::make_unique<SimCC>(options); }

}  // namespace mnnlite
