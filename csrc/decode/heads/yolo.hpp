// The options that all heads of the YOLO family share; each version's way to read its outputs has a file of its own.
#pragma once

#include <memory>
#include <vector>

#include "decode/common/detections.hpp"

namespace mnnlite {

struct YoloOptions {
  DetectionOptions detection;
  PointLayout points;
  bool rotated = false;             // v8: the last channel is an angle
  bool relative = false;            // boxes are fractions of the network's input
  int activation = 0;               // 0: as the version's usual export; 1: none; 2: sigmoid
  int transposed = 0;               // v8: 0: the longer axis is the candidates; 1: channels last; 2: channels first
  std::vector<double> strides;      // yolox
  std::vector<double> anchors;      // v3, v5 grids: width, height in network pixels, finest grid first
  const char* columns = "";         // end2end

  bool sigmoid(bool usual) const noexcept { return activation == 0 ? usual : activation == 2; }
};

class YoloHead : public Detector {
 protected:
  YoloHead(const YoloOptions& options, int max_tensors) noexcept : Detector("yolo", 1, max_tensors), yolo_(options) {
    options_ = options.detection;
    points_ = options.points;
  }
  // Width and height that box coordinates are multiplied with.
  Status units(const mnnlite_item& item, float& width, float& height) const noexcept {
    width = height = 1;
    if (!yolo_.relative) return {};
    MNNLITE_TRY(need_net_size(item));
    width = static_cast<float>(item.net_width);
    height = static_cast<float>(item.net_height);
    return {};
  }

  const char* likely_setting() const noexcept override { return "version, channels, columns or activation (\"sigmoid\")"; }

  YoloOptions yolo_;
};

std::unique_ptr<Decoder> make_yolo_planes(const YoloOptions& options);             // v8
std::unique_ptr<Decoder> make_yolo_anchors(const YoloOptions& options, bool v3);   // v3, v5
std::unique_ptr<Decoder> make_yolox(const YoloOptions& options);
std::unique_ptr<Decoder> make_yolo_end2end(const YoloOptions& options);

}  // namespace mnnlite
