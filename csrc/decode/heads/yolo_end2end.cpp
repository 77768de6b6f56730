// Heads whose network suppresses itself: rows of box, score and class. `columns` names what they hold: b the slot of the
// batch, x y x y the corners, s the score, c the class. YOLOv10 and later give "xyxysc" (THU-MIG/yolov10,
// nn/modules/head.py v10Detect), YOLOv7's export "bxyxycs" (WongKinYiu/yolov7, models/experimental.py ONNX_ORT),
// OpenVINO's DetectionOutput "bcsxyxy" with relative corners.
#include <cmath>
#include <cstring>

#include "decode/common/reader.hpp"
#include "decode/heads/yolo.hpp"

namespace mnnlite {
namespace {

class YoloEnd2End final : public YoloHead {
 public:
  explicit YoloEnd2End(const YoloOptions& options) : YoloHead(options, 1) {
    std::strncpy(columns_, options.columns, sizeof columns_ - 1);  // the option's text does not live on
    yolo_.columns = columns_;
    options_.nms.method = Suppression::hard;
    options_.nms.iou = 1;  // suppressed already
  }

 private:
  Status prepare(const TensorView* desc, int, Plan& plan) override {
    const TensorView& tensor = desc[0];
    char text[96];
    parts_ = tensor.rank > 1 ? tensor.dims[tensor.rank - 1] : 0;
    const char* columns = *columns_ ? columns_ : parts_ == 7 ? "bxyxycs" : "xyxysc";
    const int32_t wanted = static_cast<int32_t>(std::strlen(columns));
    std::memset(where_, -1, sizeof where_);
    int corners = 0;
    for (int32_t i = 0; i < wanted; ++i) switch (columns[i]) {
        case 'b': where_[0] = i; break;
        case 's': where_[1] = i; break;
        case 'c': where_[2] = i; break;
        case 'x':
        case 'y':
          if (corners < 4 && (columns[i] == 'x') == (corners % 2 == 0)) where_[3 + corners++] = i;
          break;
        default: break;
      }
    if (where_[1] < 0 || where_[2] < 0 || corners != 4)
      return Status::error(Code::decoder, "yolo: columns \"%s\" must have x y x y, s and c (and may have b)", columns);
    if (parts_ != wanted || pack_of(layout_of(tensor)) > 1)
      return Status::error(Code::decoder, "yolo: output \"%s\" is %s, rows of the %d numbers \"%s\" are wanted", tensor.name,
                           describe(tensor, text), static_cast<int>(wanted), columns);
    // Rows that name their slot, and rows without a batch, are read as one list.
    listed_ = where_[0] >= 0 || tensor.rank == 2;
    TensorView view = tensor;
    if (listed_) {
      int32_t count = 1;
      for (int axis = 0; axis < tensor.rank - 1; ++axis) count *= tensor.dims[axis];
      view.rank = 1, view.dims[0] = count * parts_;
      if (where_[0] < 0 && plan.max_items() > 1)
        return Status::error(Code::decoder, "yolo: output \"%s\" is %s, whose rows do not say which of %d items they are of", tensor.name,
                             describe(tensor, text), plan.max_items());
      MNNLITE_TRY(reader_.plan(name(), view, Order::flat, plan, 1));
    } else {
      MNNLITE_TRY(reader_.plan(name(), view, Order::flat, plan));
    }
    count_ = reader_.per_slot() / parts_;
    plan_detections(plan, count_);
    return {};
  }

  Status run(const Call& call) const noexcept override {
    for (int slot = 0; slot < call.n_items; ++slot) MNNLITE_TRY(run_slot(call, slot));
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept {
    const TensorView& tensor = call.tensors[0];
    float width, height;
    MNNLITE_TRY(units(call.items[slot], width, height));
    const float* at = reader_.read(call, tensor, listed_ ? 0 : slot);
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t i = 0; i < count_; ++i, at += parts_) {
      const float score = at[where_[1]];
      if (!std::isfinite(score)) return not_finite(tensor, slot, at + where_[1], 1);
      if (!(score > options_.score) || (where_[0] >= 0 && at[where_[0]] != static_cast<float>(slot))) continue;
      const float class_id = at[where_[2]];
      if (names() > 0 && class_id >= static_cast<float>(names()))
        return Status::error(Code::decoder, "yolo: output \"%s\" gives row %d the class %g, but there are %d names of classes; likely columns", tensor.name,
                             static_cast<int>(i), static_cast<double>(class_id), static_cast<int>(names()));
      if (!(class_id >= 0 && class_id < 16777216.0f))
        return Status::error(Code::decoder, "yolo: output \"%s\" gives row %d the class %g; a whole number from 0 is wanted", tensor.name,
                             static_cast<int>(i), static_cast<double>(class_id));
      found[count++] = {score, static_cast<int32_t>(class_id), i,
                        {at[where_[3]] * width, at[where_[4]] * height, at[where_[5]] * width, at[where_[6]] * height}};
    }
    return emit(call, slot, tensor, count);
  }

  char columns_[16] = {};
  int32_t where_[7] = {};  // of slot, score, class, x1, y1, x2, y2
  bool listed_ = false;
  Reader reader_;
  int32_t parts_ = 0, count_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_yolo_end2end(const YoloOptions& options) { return std::make_unique<YoloEnd2End>(options); }

}  // namespace mnnlite
