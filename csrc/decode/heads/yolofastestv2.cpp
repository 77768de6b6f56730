// Yolo-FastestV2: two grids, [N, rows, columns, 12 + 3 + C] (or channels first): boxes of three anchors, their
// objectness, and class scores that they share; all activated by the network.
// Definition: mnnlite/reference/decode/yolofastestv2.py. Source: dog-qiuqiu/Yolo-FastestV2, model/detector.py (export) and
// sample/ncnn/src/yolo-fastestv2.cpp.
#include <cmath>
#include <vector>

#include "decode/common/detections.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr int kMostGrids = 4, kAnchors = 3;
// Of the published COCO model, for an input of 352 x 352 (data/coco.data).
constexpr double kCocoAnchors[] = {12.64,  19.39, 37.88,  51.48,  55.71,  138.31,
                                   126.91, 78.23, 131.57, 214.55, 279.92, 258.87};
constexpr const char* kLayouts[] = {"NHWC", "NCHW", "own", nullptr};

class YoloFastestV2 final : public Detector {
 public:
  explicit YoloFastestV2(Options& options) : Detector("yolofastestv2", 1, kMostGrids) {
    options_.score = 0.3f;
    batched_rank(4);
    options_.read(options);
    anchors_ = options.numbers("anchors");
    layout_ = options.choice("layout", kLayouts, 0);
    if (anchors_.empty()) anchors_.assign(std::begin(kCocoAnchors), std::end(kCocoAnchors));
  }

 private:
  TensorView named(const TensorView& tensor) const noexcept {
    TensorView view = tensor;
    if (layout_ != 2 && pack_of(layout_of(tensor)) == 1) view.layout = layout_ == 1 ? MNNLITE_NCHW : MNNLITE_NHWC;
    return view;
  }

  Status prepare(const TensorView* desc, int n, Plan& plan) override {
    n_ = n;
    if (anchors_.size() != static_cast<size_t>(2 * kAnchors * n))
      return Status::error(
          Code::decoder,
          "yolofastestv2: %zu numbers of anchors for %d outputs; 3 of width and height for each are wanted",
          anchors_.size(), n);
    int64_t total = 0;
    for (int i = 0; i < n; ++i) {
      char text[96];
      const TensorView view = named(desc[i]);
      if (view.rank != 4 || !image_dims(view, dims_[i]) || dims_[i].channels < 5 * kAnchors + 1 ||
          dims_[i].channels != dims_[0].channels)
        return Status::error(
            Code::decoder, "yolofastestv2: output \"%s\" is %s, [N, rows, columns, 15 + classes] is wanted; see layout",
            view.name, describe(view, text));
      MNNLITE_TRY(readers_[i].plan(name(), view, Order::hwc, plan));
      first_[i] = static_cast<int32_t>(total);
      total += int64_t{dims_[i].height} * dims_[i].width * kAnchors;
    }
    for (int i = 0; i < n; ++i) {
      finer_[i] = 0;
      for (int j = 0; j < n; ++j)
        finer_[i] += dims_[j].width > dims_[i].width || (dims_[j].width == dims_[i].width && j < i) ? 1 : 0;
    }
    plan.classes(dims_[0].channels - 5 * kAnchors);
    plan_detections(plan, total);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    MNNLITE_TRY(need_net_size(call.items[slot]));
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int i = 0; i < n_; ++i) MNNLITE_TRY(scan(call, slot, i, found, count));
    MNNLITE_TRY(emit(call, slot, call.tensors[0], count));
    return {};
  }

  Status scan(const Call& call, int slot, int i, Candidate* found, int32_t& count) const noexcept {
    const TensorView view = named(call.tensors[i]);
    const mnnlite_item& item = call.items[slot];
    const ImageDims& dims = dims_[i];
    const int32_t classes = dims.channels - 5 * kAnchors;
    const float stride_x = static_cast<float>(item.net_width) / static_cast<float>(dims.width);
    const float stride_y = static_cast<float>(item.net_height) / static_cast<float>(dims.height);
    const float* at = readers_[i].read(call, view, slot);
    int32_t index = first_[i];
    for (int32_t y = 0; y < dims.height; ++y)
      for (int32_t x = 0; x < dims.width; ++x, at += dims.channels, index += kAnchors) {
        const float* objectness = at + 4 * kAnchors;
        MNNLITE_TRY(check_finite(view, slot, objectness, kAnchors));
        if (!(objectness[0] > options_.score || objectness[1] > options_.score || objectness[2] > options_.score))
          continue;
        const RowMax best = row_max(at + 5 * kAnchors, classes);
        if (!best.finite) return not_finite(view, slot, at + 5 * kAnchors, classes);
        for (int32_t a = 0; a < kAnchors; ++a) {
          const float score = objectness[a] * best.value;
          if (!(score > options_.score)) continue;
          const float* raw = at + 4 * a;
          const double* anchor = anchors_.data() + (finer_[i] * kAnchors + a) * 2;
          const float cx = (raw[0] * 2 - 0.5f + static_cast<float>(x)) * stride_x,
                      cy = (raw[1] * 2 - 0.5f + static_cast<float>(y)) * stride_y;
          const float w = (raw[2] * 2) * (raw[2] * 2) * static_cast<float>(anchor[0]),
                      h = (raw[3] * 2) * (raw[3] * 2) * static_cast<float>(anchor[1]);
          found[count++] = {score, best.index, index + a, {cx - w * 0.5f, cy - h * 0.5f, cx + w * 0.5f, cy + h * 0.5f}};
        }
      }
    return {};
  }

  std::vector<double> anchors_;
  int layout_, n_ = 0;
  ImageDims dims_[kMostGrids];
  int32_t first_[kMostGrids] = {};
  int finer_[kMostGrids] = {};
  Reader readers_[kMostGrids];
};

}  // namespace

std::unique_ptr<Decoder> make_yolofastestv2(Options& options) { return std::make_unique<YoloFastestV2>(options); }

}  // namespace mnnlite
