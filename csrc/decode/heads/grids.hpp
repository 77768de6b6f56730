// Detection heads over the grids of several strides, with an output for each part of each stride: scores, boxes as
// distances, as distributions over distances or as middle and size, and points. What differs between them is data.
#pragma once

#include <memory>
#include <vector>

#include "decode/common/detections.hpp"

namespace mnnlite {

struct GridRules {
  enum Box {
    distances,  // left, top, right, bottom from the anchor's point
    distributions,  // the same, as the mean of `bins` numbers after softmax (Li et al. 2020, Generalized Focal Loss, equation 6)
    middle,  // x, y from the anchor's point, and the logarithms of width and height
  };
  const char* family = "";
  Box box = distances;
  int32_t bins = 16;
  bool objectness = false;  // an output of one number a cell; the score is the root of its product with the class's
  bool pixels = false;      // distances are in pixels, not in strides
  bool sigmoid = false;     // scores are logits
  bool joined = false;      // one output of all strides, box and classes side by side, is taken too
  float offset = 0;         // of an anchor's point in its cell, in strides
  int32_t per_cell = 1;     // anchors
  int32_t points = 0;       // x, y from the anchor's point, in strides; 0: none, or if an output is there
  int32_t may_have_points = 0;
  int32_t point_values = 2;  // 3: x, y and the logit of a confidence
  bool around = false;       // points are in half strides from the cell's corner (ultralytics, Pose.kpts_decode)
  bool masks = false;        // coefficients of each stride, and prototypes: the output with the finest grid
  int64_t mask_room = 0;     // bytes of masks, a slot
  std::vector<double> strides;
};

std::unique_ptr<Decoder> make_grids(const GridRules& rules, const DetectionOptions& options);

// Reads "strides": 1 to 8 numbers in [1, 4096].
std::vector<double> read_strides(Options& options, std::vector<double> usual);

}  // namespace mnnlite
