// YOLOv3 and v5 (also v4, v7 and the face and plate heads made of v5). One flat output: the network placed its boxes
// itself, [N, candidates, 5 + points + classes]. Several outputs: raw grids, [N, anchors x (5 + C), rows, columns] or
// [N, anchors, rows, columns, 5 + C].
// Sources: Redmon and Farhadi 2018 (YOLOv3), section 2.1; ultralytics yolov5, models/yolo.py Detect; deepcam-cn
// yolov5-face, models/yolo.py for points, which lie between objectness and classes.
#include <algorithm>
#include <cmath>

#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/heads/yolo.hpp"

namespace mnnlite {
namespace {

constexpr int kMostGrids = 6;
// The anchors of both published COCO models, width and height in pixels, finest grid first.
constexpr double kCocoAnchors[] = {10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326};

class YoloAnchors final : public YoloHead {
 public:
  YoloAnchors(const YoloOptions& options, bool v3) : YoloHead(options, kMostGrids), v3_(v3) {
    if (yolo_.anchors.empty()) yolo_.anchors.assign(std::begin(kCocoAnchors), std::end(kCocoAnchors));
  }

 private:
  struct Grid {
    int32_t rows, columns, anchors;
    int32_t first;                              // index of its first candidate
    const double* sizes;                        // of its anchors
    int64_t anchor_step, cell_step, part_step;  // between anchors, cells and the numbers of a candidate
  };

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    MNNLITE_TRY(ask_for_masks(desc, needs));
    if (masks_.active()) desc += boxes_, n = 1;
    n_ = n;
    char text[96];
    flat_ = n == 1 && desc[0].rank <= 3;
    if (masks_.active() && !flat_) return shape_error(desc[0]);
    sigmoid_ = yolo_.sigmoid(!flat_);
    const float cut = options_.score;
    cut_ = sigmoid_ ? logit_of(cut) : cut;
    if (flat_) {
      if (desc[0].rank < 2)
        return Status::error(Code::decoder, "yolo: output \"%s\" is %s, [N, candidates, 5 + classes] is wanted",
                             desc[0].name, describe(desc[0], text));
      TensorView tensor = desc[0];
      if (tensor.rank == 2) {  // without a batch
        if (pack_of(layout_of(tensor)) > 1) return shape_error(tensor);
        tensor.rank = 3, tensor.dims[2] = tensor.dims[1], tensor.dims[1] = tensor.dims[0], tensor.dims[0] = 1;
      }
      parts_ = tensor.dims[2];
      MNNLITE_TRY(readers_[0].plan(name(), tensor, Order::flat, needs));
      grids_[0] = {1, tensor.dims[1], 1, 0, nullptr, 0, parts_, 1};
      classes_ = parts_ - 5 - points_.total() - coefficients();
      if (classes_ < 1) return shape_error(desc[0]);
      needs.classes(classes_);
      ask_for_detections(needs, tensor.dims[1]);
      finish_needs(needs);
      return {};
    }
    const int32_t per_grid = static_cast<int32_t>(yolo_.anchors.size()) / 2 / n;
    if (per_grid < 1 || per_grid * n * 2 != static_cast<int32_t>(yolo_.anchors.size()))
      return Status::error(Code::decoder,
                           "yolo: %zu numbers of anchors (width, height each) do not share out among %d outputs",
                           yolo_.anchors.size(), n);
    int64_t total = 0;
    for (int i = 0; i < n; ++i) {
      const TensorView& tensor = desc[i];
      Grid& grid = grids_[i];
      grid.anchors = per_grid;
      if (tensor.rank == 5 && tensor.dims[1] == per_grid && pack_of(layout_of(tensor)) == 1) {
        grid.rows = tensor.dims[2], grid.columns = tensor.dims[3], parts_ = tensor.dims[4];
        grid.part_step = 1, grid.cell_step = parts_, grid.anchor_step = int64_t{grid.rows} * grid.columns * parts_;
        MNNLITE_TRY(readers_[i].plan(name(), tensor, Order::flat, needs));
      } else {
        ImageDims dims;
        if (tensor.rank != 4 || !image_dims(tensor, dims) || dims.channels % per_grid != 0) return shape_error(tensor);
        grid.rows = dims.height, grid.columns = dims.width, parts_ = dims.channels / per_grid;
        grid.part_step = int64_t{grid.rows} * grid.columns, grid.cell_step = 1,
        grid.anchor_step = parts_ * grid.part_step;
        MNNLITE_TRY(readers_[i].plan(name(), tensor, Order::chw, needs));
      }
      if (i > 0 && parts_ - 5 - points_.total() != classes_) return shape_error(tensor);
      classes_ = parts_ - 5 - points_.total();
      if (classes_ < 1) return shape_error(tensor);
      grid.first = static_cast<int32_t>(total);
      total += int64_t{grid.rows} * grid.columns * per_grid;
    }
    if (total > INT32_MAX) return Status::error(Code::decoder, "yolo: the outputs have more than 2^31 candidates");
    // The finest grid has the first anchors, whatever the order of the outputs.
    for (int i = 0; i < n; ++i) {
      int finer = 0;
      for (int j = 0; j < n; ++j) {
        const int64_t mine = int64_t{grids_[i].rows} * grids_[i].columns,
                      other = int64_t{grids_[j].rows} * grids_[j].columns;
        if (other > mine || (other == mine && j < i)) ++finer;
      }
      grids_[i].sizes = yolo_.anchors.data() + static_cast<ptrdiff_t>(finer) * per_grid * 2;
    }
    needs.classes(classes_);
    ask_for_detections(needs, total);
    return {};
  }

  Status shape_error(const TensorView& tensor) const noexcept {
    char text[96];
    if (flat_)
      return Status::error(Code::decoder, "yolo: output \"%s\" is %s, [N, candidates, %d + classes] is wanted",
                           tensor.name, describe(tensor, text), static_cast<int>(5 + points_.total() + coefficients()));
    return Status::error(
        Code::decoder,
        "yolo: output \"%s\" is %s, [N, %d x (%d + classes), rows, columns] is wanted, the same classes in all",
        tensor.name, describe(tensor, text), static_cast<int>(yolo_.anchors.size()) / 2 / n_,
        static_cast<int>(5 + points_.total()));
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    Candidate* found = candidates(call);
    int32_t count = 0;
    begin_masks(call, slot);
    for (int i = 0; i < n_; ++i) MNNLITE_TRY(scan(call, slot, i, found, count));
    return emit(call, slot, call.tensors[boxes_], count);
  }

  Status scan(const Call& call, int slot, int i, Candidate* found, int32_t& count) const noexcept {
    const TensorView& tensor = call.tensors[boxes_ + i];
    const mnnlite_item& item = call.items[slot];
    const Grid& grid = grids_[i];
    float width, height;
    MNNLITE_TRY(units(item, width, height));
    if (!flat_) MNNLITE_TRY(need_net_size(item));
    const float* head = readers_[i].read(call, tensor, slot);
    const int32_t cells = grid.rows * grid.columns, first_class = 5 + points_.total();
    for (int32_t a = 0; a < grid.anchors; ++a)
      for (int32_t cell = 0; cell < cells; ++cell) {
        const float* at = head + a * grid.anchor_step + cell * grid.cell_step;
        const float objectness = at[4 * grid.part_step];
        // Class scores are at most 1, so what fails here cannot pass. NaN is read as a score too.
        if (!(objectness > cut_) && std::isfinite(objectness)) continue;
        if (!std::isfinite(objectness)) return not_finite(tensor, slot, at + 4 * grid.part_step, 1);
        int32_t best = 0;
        for (int32_t c = 0; c < classes_; ++c) {
          const float value = at[(first_class + c) * grid.part_step];
          if (!std::isfinite(value)) return not_finite(tensor, slot, at + (first_class + c) * grid.part_step, 1);
          if (value > at[(first_class + best) * grid.part_step]) best = c;
        }
        const float class_score = at[(first_class + best) * grid.part_step];
        const float score = sigmoid_ ? sigmoid_f32(objectness) * sigmoid_f32(class_score) : objectness * class_score;
        if (!(score > options_.score)) continue;
        Candidate& candidate = found[count++];
        candidate = {score, best, grid.first + a * cells + cell, {}};
        decode_box(grid, item, at, a, cell, width, height, candidate.box);
      }
    return {};
  }

  void decode_box(const Grid& grid, const mnnlite_item& item, const float* at, int32_t a, int32_t cell, float width,
                  float height, float* box) const noexcept {
    float cx = at[0], cy = at[grid.part_step], w = at[2 * grid.part_step], h = at[3 * grid.part_step];
    if (!flat_) {
      const float stride_x = static_cast<float>(item.net_width) / static_cast<float>(grid.columns);
      const float stride_y = static_cast<float>(item.net_height) / static_cast<float>(grid.rows);
      const float x = static_cast<float>(cell % grid.columns), y = static_cast<float>(cell / grid.columns);
      const float anchor_width = static_cast<float>(grid.sizes[2 * a]),
                  anchor_height = static_cast<float>(grid.sizes[2 * a + 1]);
      if (sigmoid_) cx = sigmoid_f32(cx), cy = sigmoid_f32(cy);
      if (v3_) {
        cx = (cx + x) * stride_x, cy = (cy + y) * stride_y;
        w = exp_f32(w) * anchor_width, h = exp_f32(h) * anchor_height;
      } else {
        if (sigmoid_) w = sigmoid_f32(w), h = sigmoid_f32(h);
        cx = (cx * 2 - 0.5f + x) * stride_x, cy = (cy * 2 - 0.5f + y) * stride_y;
        w = (w * 2) * (w * 2) * anchor_width, h = (h * 2) * (h * 2) * anchor_height;
      }
      width = height = 1;
    }
    box_of(cx, cy, w, h, width, height, box);
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    int i = n_ - 1;
    while (i > 0 && candidate.index < grids_[i].first) --i;
    const Grid& grid = grids_[i];
    const mnnlite_item& item = call.items[slot];
    const int32_t cells = grid.rows * grid.columns, local = candidate.index - grid.first;
    const int32_t a = local / cells, cell = local % cells;
    const float* at =
        readers_[i].again(call, call.tensors[boxes_ + i], slot) + a * grid.anchor_step + cell * grid.cell_step;
    float width = 1, height = 1;
    if (flat_) point_units(item, width, height);
    scale_points(width, height, values, [&](int32_t k) {
      const int32_t part = k % points_.values;
      float value = at[(5 + k) * grid.part_step];
      if (!flat_ && part < 2) {
        // yolov5-face: relative to the cell, in units of the anchor.
        const float stride = part == 0 ? static_cast<float>(item.net_width) / static_cast<float>(grid.columns)
                                       : static_cast<float>(item.net_height) / static_cast<float>(grid.rows);
        value = value * static_cast<float>(grid.sizes[2 * a + part]) +
                static_cast<float>(part == 0 ? cell % grid.columns : cell / grid.columns) * stride;
      }
      return value;
    });
  }

  Weights weights_of(const Call& call, int slot, const Candidate& candidate) const noexcept override {
    const float* head = readers_[0].again(call, call.tensors[boxes_], slot);
    return {head + int64_t{candidate.index} * parts_ + (parts_ - coefficients()), 1};
  }

  bool v3_, flat_ = true, sigmoid_ = false;
  float cut_ = 0;
  int n_ = 0;
  int32_t parts_ = 0, classes_ = 0;
  Reader readers_[kMostGrids];
  Grid grids_[kMostGrids] = {};
};

}  // namespace

std::unique_ptr<Decoder> make_yolo_anchors(const YoloOptions& options, bool v3) {
  return std::make_unique<YoloAnchors>(options, v3);
}

}  // namespace mnnlite
