// MTCNN's three networks: how far a face lies from a window, and its marks. The first has a window a cell; the others look
// at one window, which is their whole input. Definition: mnnlite/reference/decode/mtcnn.py. Source: Zhang et al. 2016 (Joint
// Face Detection and Alignment), section II; kpzhang93/MTCNN_face_detection_alignment, generateBoundingBox.m, bbreg.m.
#include <algorithm>

#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kActivations[] = {"none", "softmax", nullptr};
constexpr const char* kLayouts[] = {"own", "NCHW", "NHWC", nullptr};

class Mtcnn final : public Detector {
 public:
  explicit Mtcnn(Options& options) : Detector("mtcnn", 2, 3) {
    options_.score = 0.6f;
    options_.nms.iou = 0.5f;
    options_.read(options);
    window_ = static_cast<float>(options.number("window", 12, 1, 16384));
    stride_ = static_cast<float>(options.number("stride", 2, 1, 4096));
    softmax_ = options.choice("activation", kActivations, 0) == 1;
    layout_ = options.choice("layout", kLayouts, 0);
  }

 private:
  enum { kScores, kBoxes, kPoints };

  TensorView named(const TensorView& tensor) const noexcept {
    TensorView view = tensor;
    if (layout_ != 0 && view.rank == 4 && pack_of(layout_of(tensor)) == 1)
      view.layout = layout_ == 1 ? MNNLITE_NCHW : MNNLITE_NHWC;
    return view;
  }

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    char text[96];
    std::fill(tensor_, tensor_ + 3, -1);
    points_.count = 0;
    for (int i = 0; i < n; ++i) {
      const TensorView view = named(desc[i]);
      ImageDims dims{view.dims[0], view.dims[1], 1, 1};
      const bool fits = (view.rank == 4 && image_dims(view, dims)) || (view.rank == 2 && pack_of(layout_of(view)) == 1);
      const int part = dims.channels == 2 ? kScores : dims.channels == 4 ? kBoxes : kPoints;
      if (!fits || dims.channels < 2 || dims.channels % 2 != 0 || tensor_[part] >= 0 ||
          (i > 0 && (dims.height != rows_ || dims.width != columns_)))
        return Status::error(Code::decoder,
                             "mtcnn: output \"%s\" is %s; scores of 2, boxes of 4 and marks of 2 numbers a point are "
                             "wanted, all [N, numbers, rows, columns] of one size, or [N, numbers]",
                             desc[i].name, describe(view, text));
      rows_ = dims.height, columns_ = dims.width;
      tensor_[part] = i;
      if (part == kPoints) points_.count = dims.channels / 2;
      MNNLITE_TRY(readers_[i].plan(name(), view, view.rank == 4 ? Order::chw : Order::flat, needs));
    }
    if (tensor_[kBoxes] < 0 || tensor_[kScores] < 0)
      return Status::error(Code::decoder,
                           "mtcnn: scores of 2 and boxes of 4 numbers are wanted, one of them is missing");
    ask_for_detections(needs, int64_t{rows_} * columns_);
    return {};
  }

  // Left, top, width and height of a cell's window, in pixels of the network's input.
  void window_of(const mnnlite_item& item, int32_t cell, float (&window)[4]) const noexcept {
    const bool whole = rows_ == 1 && columns_ == 1;
    window[0] = static_cast<float>(cell % columns_) * stride_;
    window[1] = static_cast<float>(cell / columns_) * stride_;
    window[2] = whole ? static_cast<float>(item.net_width) : window_;
    window[3] = whole ? static_cast<float>(item.net_height) : window_;
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    const int32_t area = rows_ * columns_;
    const TensorView& named_scores = call.tensors[tensor_[kScores]];
    const float* scores = readers_[tensor_[kScores]].read(call, named(named_scores), slot);
    MNNLITE_TRY(check_finite(named_scores, slot, scores, int64_t{2} * area));
    const TensorView& named_boxes = call.tensors[tensor_[kBoxes]];
    const float* boxes = readers_[tensor_[kBoxes]].read(call, named(named_boxes), slot);
    if (tensor_[kPoints] >= 0) readers_[tensor_[kPoints]].read(call, named(call.tensors[tensor_[kPoints]]), slot);
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t cell = 0; cell < area; ++cell) {
      const float face = scores[area + cell];
      const float score = softmax_ ? sigmoid_f32(face - scores[cell]) : face;
      if (!(score > options_.score)) continue;
      float window[4];
      window_of(item, cell, window);
      Candidate& candidate = found[count++];
      candidate = {score, 0, cell, {}};
      for (int side = 0; side < 4; ++side) {
        const int axis = side & 1;
        const float edge = side < 2 ? window[axis] : window[axis] + window[2 + axis];
        candidate.box[side] = edge + boxes[side * area + cell] * window[2 + axis];
      }
    }
    return emit(call, slot, named_boxes, count);
  }

  // All x, then all y, relative to the window, not to the box.
  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    const int32_t area = rows_ * columns_;
    const float* marks = readers_[tensor_[kPoints]].again(call, named(call.tensors[tensor_[kPoints]]), slot);
    float window[4];
    window_of(call.items[slot], candidate.index, window);
    for (int32_t k = 0; k < points_.count; ++k)
      for (int axis = 0; axis < 2; ++axis)
        values[2 * k + axis] =
            window[axis] + marks[(int64_t{axis} * points_.count + k) * area + candidate.index] * window[2 + axis];
  }

  float window_, stride_;
  bool softmax_;
  int layout_;
  int tensor_[3] = {-1, -1, -1};
  int32_t rows_ = 0, columns_ = 0;
  Reader readers_[3];
};

}  // namespace

std::unique_ptr<Decoder> make_mtcnn(Options& options) { return std::make_unique<Mtcnn>(options); }

}  // namespace mnnlite
