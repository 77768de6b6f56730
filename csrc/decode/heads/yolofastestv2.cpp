// Yolo-FastestV2: two grids, [N, rows, columns, 12 + 3 + C] (or channels first): boxes of three anchors, their
// objectness, and class scores that they share; all activated by the network. Or both as one, [cells, 12 + 3 + C], the finer
// first, as its export writes them.
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

  // One output of all grids as [N, cells, numbers].
  static TensorView rows_of(const TensorView& tensor) noexcept {
    TensorView view = tensor;
    view.rank = 3;
    if (tensor.rank == 2) view.dims[0] = 1, view.dims[1] = tensor.dims[0], view.dims[2] = tensor.dims[1];
    if (tensor.rank == 4) view.dims[1] = tensor.dims[2], view.dims[2] = tensor.dims[3];  // a batch was put before it
    return view;
  }

  Status prepare_joined(const TensorView& desc, Needs& needs) noexcept {
    char text[96];
    const TensorView view = rows_of(desc);
    n_ = static_cast<int>(anchors_.size() / (2 * kAnchors));
    dims_[0].channels = view.dims[2];
    const int64_t cells = view.dims[1];
    if (n_ > kMostGrids || anchors_.size() % (2 * kAnchors) != 0 || (desc.rank == 4 && desc.dims[1] != 1) ||
        view.dims[2] < 5 * kAnchors + 1 || pack_of(layout_of(desc)) > 1 || (desc.rank == 2 && needs.max_items() > 1))
      return Status::error(
          Code::decoder,
          "yolofastestv2: output \"%s\" is %s, %zu numbers of anchors are given; [cells, 15 + classes] "
          "and 3 of width and height for each of at most %d grids are wanted",
          desc.name, describe(desc, text), anchors_.size(), kMostGrids);
    MNNLITE_TRY(readers_[0].plan(name(), view, Order::flat, needs));
    for (int i = 0; i < n_; ++i) finer_[i] = i;
    needs.classes(dims_[0].channels - 5 * kAnchors);
    ask_for_detections(needs, cells * kAnchors);
    return {};
  }

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    n_ = n;
    joined_ =
        n == 1 && desc[0].rank >= 2 && (desc[0].rank < 4 || desc[0].dims[1] == 1) && anchors_.size() > 2 * kAnchors;
    if (joined_) return prepare_joined(desc[0], needs);
    if (anchors_.size() != size_t{2 * kAnchors} * static_cast<size_t>(n))
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
      MNNLITE_TRY(readers_[i].plan(name(), view, Order::hwc, needs));
      first_[i] = static_cast<int32_t>(total);
      total += int64_t{dims_[i].height} * dims_[i].width * kAnchors;
    }
    for (int i = 0; i < n; ++i) {
      finer_[i] = 0;
      for (int j = 0; j < n; ++j)
        finer_[i] += dims_[j].width > dims_[i].width || (dims_[j].width == dims_[i].width && j < i) ? 1 : 0;
    }
    needs.classes(dims_[0].channels - 5 * kAnchors);
    ask_for_detections(needs, total);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    MNNLITE_TRY(need_net_size(call.items[slot]));
    Candidate* found = candidates(call);
    int32_t count = 0;
    if (joined_)
      MNNLITE_TRY(scan_joined(call, slot, found, count));
    else
      for (int i = 0; i < n_; ++i) {
        const TensorView view = named(call.tensors[i]);
        MNNLITE_TRY(scan(call, slot, view, readers_[i].read(call, view, slot), i, dims_[i], first_[i], found, count));
      }
    MNNLITE_TRY(emit(call, slot, call.tensors[0], count));
    return {};
  }

  // The grids lie one after another, at strides 16, 32 and so on.
  Status scan_joined(const Call& call, int slot, Candidate* found, int32_t& count) const noexcept {
    const TensorView view = rows_of(call.tensors[0]);
    const mnnlite_item& item = call.items[slot];
    const float* at = readers_[0].read(call, view, slot);
    ImageDims dims[kMostGrids];
    int64_t cells = 0;
    for (int i = 0; i < n_; ++i) {
      const int32_t stride = 16 << i;
      dims[i] = {1, dims_[0].channels, item.net_height / stride, item.net_width / stride};
      cells += int64_t{dims[i].height} * dims[i].width;
    }
    if (cells != view.dims[1])
      return Status::error(
          Code::decoder,
          "yolofastestv2: output \"%s\" has %d cells, an input of %dx%d has %lld in %d grids from stride 16", view.name,
          static_cast<int>(view.dims[1]), static_cast<int>(item.net_width), static_cast<int>(item.net_height),
          static_cast<long long>(cells), n_);
    int32_t first = 0;
    for (int i = 0; i < n_; ++i) {
      MNNLITE_TRY(scan(call, slot, view, at, i, dims[i], first * kAnchors, found, count));
      const int32_t here = dims[i].height * dims[i].width;
      first += here;
      at += int64_t{here} * dims[i].channels;
    }
    return {};
  }

  Status scan(const Call& call, int slot, const TensorView& view, const float* at, int i, const ImageDims& dims,
              int32_t index, Candidate* found, int32_t& count) const noexcept {
    const mnnlite_item& item = call.items[slot];
    const int32_t classes = dims.channels - 5 * kAnchors;
    const float stride_x = static_cast<float>(item.net_width) / static_cast<float>(dims.width);
    const float stride_y = static_cast<float>(item.net_height) / static_cast<float>(dims.height);
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
  bool joined_ = false;
  ImageDims dims_[kMostGrids];
  int32_t first_[kMostGrids] = {};
  int finer_[kMostGrids] = {};
  Reader readers_[kMostGrids];
};

}  // namespace

std::unique_ptr<Decoder> make_yolofastestv2(Options& options) { return std::make_unique<YoloFastestV2>(options); }

}  // namespace mnnlite
