// Heads whose network suppresses itself: rows of box, score and class, then points or coefficients of masks. `columns` names
// what they begin with: b the slot of the batch, x y x y the corners or x y w h the middle and size, s the score, c the
// class, a the angle of a turned box. YOLOv10 and later give "xyxysc" (THU-MIG/yolov10, nn/modules/head.py v10Detect), with
// angles "xywhsca" (ultralytics, nn/modules/head.py OBB26), YOLOv7's export "bxyxycs" (WongKinYiu/yolov7,
// models/experimental.py ONNX_ORT), OpenVINO's DetectionOutput "bcsxyxy" with relative corners.
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
  enum { kSlot, kScore, kClass, kX1, kY1, kX2, kY2, kAngle, kFields };

  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(ask_for_masks(desc, needs));
    const TensorView& tensor = desc[boxes_];
    char text[96];
    parts_ = tensor.rank > 1 ? tensor.dims[tensor.rank - 1] : 0;
    const int32_t more = (yolo_.rotated ? 0 : points_.total()) + coefficients();
    const char* columns = *columns_ ? columns_ : yolo_.rotated ? "xywhsca" : parts_ - more == 7 ? "bxyxycs" : "xyxysc";
    const int32_t wanted = static_cast<int32_t>(std::strlen(columns));
    std::memset(where_, -1, sizeof where_);
    sized_ = std::strchr(columns, 'w') != nullptr;
    for (int32_t i = 0; i < wanted; ++i) {
      const int second = sized_ ? 0 : 2;  // x y x y: the second pair is the other corner
      switch (columns[i]) {
        case 'b': where_[kSlot] = i; break;
        case 's': where_[kScore] = i; break;
        case 'c': where_[kClass] = i; break;
        case 'a': where_[kAngle] = i; break;
        case 'x': where_[where_[kX1] < 0 ? kX1 : kX1 + second] = i; break;
        case 'y': where_[where_[kY1] < 0 ? kY1 : kY1 + second] = i; break;
        case 'w': where_[kX2] = i; break;
        case 'h': where_[kY2] = i; break;
        default: break;
      }
    }
    bool whole = (where_[kAngle] >= 0) == yolo_.rotated && (sized_ || !yolo_.rotated);
    for (int field = kScore; field <= kY2; ++field) whole = whole && where_[field] >= 0;
    if (!whole)
      return Status::error(
          Code::decoder,
          "yolo: columns \"%s\" must have x y x y or x y w h, s and c (and may have b; turned boxes have w, h and a)",
          columns);
    if (parts_ != wanted + more || pack_of(layout_of(tensor)) > 1)
      return Status::error(
          Code::decoder, "yolo: output \"%s\" is %s, rows of the %d numbers \"%s\" and %d more are wanted", tensor.name,
          describe(tensor, text), static_cast<int>(wanted), columns, static_cast<int>(more));
    first_more_ = wanted;
    // Rows that name their slot, and rows without a batch, are read as one list.
    listed_ = where_[kSlot] >= 0 || tensor.rank == 2;
    TensorView view = tensor;
    if (listed_) {
      int32_t count = 1;
      for (int axis = 0; axis < tensor.rank - 1; ++axis) count *= tensor.dims[axis];
      view.rank = 1, view.dims[0] = count * parts_;
      if (where_[kSlot] < 0 && needs.max_items() > 1)
        return Status::error(Code::decoder,
                             "yolo: output \"%s\" is %s, whose rows do not say which of %d items they are of",
                             tensor.name, describe(tensor, text), needs.max_items());
      MNNLITE_TRY(reader_.plan(name(), view, Order::flat, needs, 1));
    } else {
      MNNLITE_TRY(reader_.plan(name(), view, Order::flat, needs));
    }
    count_ = reader_.per_slot() / parts_;
    ask_for_detections(needs, count_);
    finish_needs(needs);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[boxes_];
    float width, height;
    MNNLITE_TRY(begin(call, slot, width, height));
    const float* at = reader_.read(call, tensor, listed_ ? 0 : slot);
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t i = 0; i < count_; ++i, at += parts_) {
      const float score = at[where_[kScore]];
      if (!std::isfinite(score)) return not_finite(tensor, slot, at + where_[kScore], 1);
      if (!(score > options_.score) || (where_[kSlot] >= 0 && at[where_[kSlot]] != static_cast<float>(slot))) continue;
      const float class_id = at[where_[kClass]];
      if (names() > 0 && class_id >= static_cast<float>(names()))
        return Status::error(
            Code::decoder,
            "yolo: output \"%s\" gives row %d the class %g, but there are %d names of classes; likely columns",
            tensor.name, static_cast<int>(i), static_cast<double>(class_id), static_cast<int>(names()));
      if (!(class_id >= 0 && class_id < 16777216.0f))
        return Status::error(Code::decoder,
                             "yolo: output \"%s\" gives row %d the class %g; a whole number from 0 is wanted",
                             tensor.name, static_cast<int>(i), static_cast<double>(class_id));
      Candidate& candidate = found[count++];
      candidate = {score, static_cast<int32_t>(class_id), i, {}};
      if (yolo_.rotated) {
        float corners[8];
        corners_of(at, width, height, corners);
        box_around(corners, candidate.box);
        continue;
      }
      const float x = at[where_[kX1]], y = at[where_[kY1]], x2 = at[where_[kX2]], y2 = at[where_[kY2]];
      float* box = candidate.box;
      if (sized_)
        box_of(x, y, x2, y2, width, height, box);
      else
        box[0] = x * width, box[1] = y * height, box[2] = x2 * width, box[3] = y2 * height;
    }
    return emit(call, slot, tensor, count);
  }

  void corners_of(const float* row, float width, float height, float* corners) const noexcept {
    turned_corners(row[where_[kX1]], row[where_[kY1]], row[where_[kX2]], row[where_[kY2]], row[where_[kAngle]], width,
                   height, corners);
  }

  const float* row_of(const Call& call, int slot, const Candidate& candidate) const noexcept {
    return reader_.again(call, call.tensors[boxes_], listed_ ? 0 : slot) + int64_t{candidate.index} * parts_;
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    const float* row = row_of(call, slot, candidate);
    float width, height;
    point_units(call.items[slot], width, height);
    if (yolo_.rotated) return corners_of(row, width, height, values);
    scale_points(width, height, values, [&](int32_t k) { return row[first_more_ + k]; });
  }

  Weights weights_of(const Call& call, int slot, const Candidate& candidate) const noexcept override {
    return {row_of(call, slot, candidate) + first_more_ + points_.total(), 1};
  }

  char columns_[16] = {};
  int32_t where_[kFields] = {};
  int32_t first_more_ = 0;
  bool listed_ = false, sized_ = false;
  Reader reader_;
  int32_t parts_ = 0, count_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_yolo_end2end(const YoloOptions& options) {
  return std::make_unique<YoloEnd2End>(options);
}

}  // namespace mnnlite
