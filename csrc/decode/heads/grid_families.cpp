// Families that are the same head with other rules: see grids.hpp. Sources: deepinsight/insightface, detection/scrfd/tools
// (SCRFD: Guo et al. 2021); opencv, modules/objdetect/src/face_detect.cpp postProcess (YuNet: Wu et al. 2023); open-mmlab
// mmdetection, mmdet/models/dense_heads/rtmdet_head.py (RTMDet: Lyu et al. 2022).
#include "decode/families.hpp"
#include "decode/heads/grids.hpp"

namespace mnnlite {

std::unique_ptr<Decoder> make_scrfd(Options& options) {
  GridRules rules;
  rules.family = "scrfd";
  DetectionOptions detection;
  detection.score = 0.5f;
  detection.nms.iou = 0.4f;
  detection.read(options);
  rules.strides = read_strides(options, {8, 16, 32});
  rules.per_cell = options.integer("per_cell", 2, 1, 16);
  rules.may_have_points = options.integer("points", 5, 1, 1024);
  rules.sigmoid = options.flag("sigmoid", false);
  return make_grids(rules, detection);
}

std::unique_ptr<Decoder> make_yunet(Options& options) {
  GridRules rules;
  rules.family = "yunet";
  rules.box = GridRules::middle;
  rules.objectness = true;
  DetectionOptions detection;
  detection.score = 0.9f;
  detection.nms.iou = 0.3f;
  detection.read(options);
  rules.strides = read_strides(options, {8, 16, 32});
  rules.may_have_points = options.integer("points", 5, 1, 1024);
  return make_grids(rules, detection);
}

std::unique_ptr<Decoder> make_rtmdet(Options& options) {
  GridRules rules;
  rules.family = "rtmdet";
  rules.pixels = true;
  DetectionOptions detection;
  detection.score = 0.3f;
  detection.nms.iou = 0.65f;
  detection.read(options);
  rules.strides = read_strides(options, {8, 16, 32});
  rules.pixels = !options.flag("in_strides", false);
  rules.offset = static_cast<float>(options.number("cell_offset", 0, 0, 1));
  rules.sigmoid = options.flag("sigmoid", true);
  return make_grids(rules, detection);
}

}  // namespace mnnlite
