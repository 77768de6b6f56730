// The YOLO family: reads its options and picks the version's head. Definition: mnnlite/reference/decode/yolo.py
#include "decode/heads/yolo.hpp"

#include <cstring>

#include "decode/families.hpp"
#include "decode/heads/grids.hpp"

namespace mnnlite {
namespace {

constexpr const char* kVersions[] = {"v3", "v5", "v8", "yolox", "end2end", "split", nullptr};
constexpr const char* kActivations[] = {"usual", "none", "sigmoid", nullptr};
constexpr const char* kAxes[] = {"auto", "last", "first", nullptr};
constexpr const char* kOverlaps[] = {"polygon", "gaussian", nullptr};
constexpr const char* kUnits[] = {"pixels", "relative", nullptr};
constexpr const char* kPointUnits[] = {"boxes", "pixels", nullptr};

}  // namespace

std::unique_ptr<Decoder> make_yolo(Options& options) {
  const int version = options.choice("version", kVersions, 2);
  YoloOptions yolo;
  yolo.detection.read(options);
  yolo.points.count = options.integer("points", 0, 0, 1024);
  yolo.points.values = options.integer("point_values", 2, 2, 3);
  yolo.rotated = options.flag("rotated", false);
  yolo.relative = options.choice("units", kUnits, 0) == 1;
  yolo.relative_points = options.choice("point_units", kPointUnits, 0) == 0 && yolo.relative;
  if (yolo.relative && !yolo.relative_points && yolo.rotated)
    options.fail(Status::error(Code::argument,
                               "yolo: option \"point_units\" is of key points; turned boxes have the units of boxes"));
  yolo.detection.nms.gaussian = options.choice("overlap", kOverlaps, 0) == 1;
  yolo.activation = options.choice("activation", kActivations, 0);
  yolo.transposed = options.choice("channels", kAxes, 0);
  yolo.strides = options.numbers("strides");
  yolo.anchors = options.numbers("anchors");
  yolo.columns = options.text("columns", "");
  yolo.masks = options.flag("masks", false);
  yolo.mask_room = static_cast<int64_t>(options.number("mask_room", 8, 0, 1024) * 1048576);
  const int32_t bins = options.integer("bins", 16, 1, 64);
  if (yolo.strides.empty()) yolo.strides = {8, 16, 32};
  for (double stride : yolo.strides)
    if (!(stride >= 1 && stride <= 4096))
      options.fail(
          Status::error(Code::argument, "yolo: option \"strides\" must hold numbers in [1, 4096], got %g", stride));
  if (yolo.rotated && ((version != 2 && version != 4) || yolo.points.count > 0 || yolo.masks))
    options.fail(Status::error(
        Code::argument,
        "yolo: rotated boxes are of version \"v8\" or \"end2end\" and have no points or masks of their own"));
  if (yolo.masks && yolo.points.count > 0)
    options.fail(Status::error(Code::argument, "yolo: a head has masks or points, not both"));
  if (yolo.masks && (version == 0 || version == 3))
    options.fail(Status::error(Code::argument, "yolo: version \"%s\" has no masks", kVersions[version]));
  if (yolo.points.count > 0 && version == 3)
    options.fail(Status::error(Code::argument, "yolo: version \"%s\" has no points", kVersions[version]));
  if (std::strlen(yolo.columns) > 15)
    options.fail(Status::error(Code::argument, "yolo: option \"columns\" must have at most 15 letters, got \"%s\"",
                               yolo.columns));
  if (yolo.rotated) {
    yolo.points = {4, 2};  // the corners
    yolo.detection.nms.rotated = true;
  }
  switch (version) {
    case 0:
    case 1: return make_yolo_anchors(yolo, version == 0);
    case 2: return make_yolo_planes(yolo);
    case 3: return make_yolox(yolo);
    case 4: return make_yolo_end2end(yolo);
    default: {
      GridRules rules;
      rules.family = "yolo";
      rules.box = bins > 1 ? GridRules::distributions : GridRules::distances;
      rules.bins = bins;
      rules.joined = true;
      rules.offset = 0.5f;
      rules.sigmoid = yolo.sigmoid(false);
      rules.strides = read_strides(options, {8, 16, 32});
      rules.points = yolo.points.count;
      rules.point_values = yolo.points.values;
      rules.around = true;
      rules.masks = yolo.masks;
      rules.mask_room = yolo.mask_room;
      return make_grids(rules, yolo.detection);
    }
  }
}

}  // namespace mnnlite
