// Anchors of SSD heads: given, or generated as MediaPipe and TensorFlow's object detection API do.
#pragma once

#include <vector>

#include "decode/common/options.hpp"

namespace mnnlite {

struct SsdAnchor {
  float cx, cy, width, height;  // relative to the network's input
};

struct AnchorOptions {
  std::vector<double> given;          // cx, cy, width, height of each, relative
  std::vector<double> strides;        // one per layer, in network pixels
  std::vector<double> aspect_ratios;  // width / height
  std::vector<double> input_size;     // width, height in pixels
  double min_scale = 0.2, max_scale = 0.95;
  double interpolated = 1;     // aspect ratio of the anchor between two layers' scales; 0 = none
  double offset = 0.5;         // of an anchor's centre in its cell
  bool reduce_lowest = false;  // three anchors only in the first layer
  bool fixed_size = false;     // width and height are 1

  void read(Options& options);
  bool any() const noexcept { return !given.empty() || !strides.empty(); }
  // The given ones, or those of an input of input_size; without one, of the square input that has `wanted` of them, if
  // there is one. Another number than `wanted` means that the options do not fit the head. May throw bad_alloc.
  std::vector<SsdAnchor> make_for(int64_t wanted) const;

 private:
  std::vector<SsdAnchor> make(double width, double height, int64_t most) const;
};

}  // namespace mnnlite
