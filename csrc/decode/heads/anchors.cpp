// Source of the generated ones: MediaPipe, mediapipe/calculators/tflite/ssd_anchors_calculator.cc, whose rules are those
// of Liu et al. 2016 (SSD), section 2.2: scales grow evenly from the first layer to the last.
#include "decode/heads/anchors.hpp"

#include <algorithm>
#include <cmath>

namespace mnnlite {

void AnchorOptions::read(Options& options) {
  given = options.numbers("anchors");
  strides = options.numbers("strides");
  aspect_ratios = options.numbers("aspect_ratios");
  if (aspect_ratios.empty()) aspect_ratios = {1};
  min_scale = options.number("min_scale", min_scale, 0, 10);
  max_scale = options.number("max_scale", max_scale, 0, 10);
  interpolated = options.number("interpolated_aspect_ratio", interpolated, 0, 100);
  offset = options.number("anchor_offset", offset, -1, 1);
  reduce_lowest = options.flag("reduce_lowest_layer", reduce_lowest);
  fixed_size = options.flag("fixed_anchor_size", fixed_size);
  input_size = options.numbers("input_size");
  if (!input_size.empty() && (input_size.size() != 2 || !(input_size[0] >= 1 && input_size[1] >= 1 &&
                                                          input_size[0] <= 16384 && input_size[1] <= 16384)))
    options.fail(
        Status::error(Code::argument, "%s: option \"input_size\" wants width and height in pixels", options.family()));
  if (given.size() % 4 != 0)
    options.fail(Status::error(
        Code::argument, "%s: option \"anchors\" wants 4 numbers an anchor (cx, cy, width, height), got %zu numbers",
        options.family(), given.size()));
  for (double stride : strides)
    if (!(stride >= 1 && stride <= 4096))
      options.fail(Status::error(Code::argument, "%s: option \"strides\" must hold numbers in [1, 4096], got %g",
                                 options.family(), stride));
  for (double ratio : aspect_ratios)
    if (!(ratio > 0 && ratio < 1000))
      options.fail(Status::error(Code::argument,
                                 "%s: option \"aspect_ratios\" must hold numbers greater than 0, got %g",
                                 options.family(), ratio));
}

std::vector<SsdAnchor> AnchorOptions::make_for(int64_t wanted) const {
  if (!given.empty()) {
    std::vector<SsdAnchor> anchors;
    for (size_t i = 0; i + 3 < given.size(); i += 4)
      anchors.push_back({static_cast<float>(given[i]), static_cast<float>(given[i + 1]),
                         static_cast<float>(given[i + 2]), static_cast<float>(given[i + 3])});
    return anchors;
  }
  if (!input_size.empty()) return make(input_size[0], input_size[1], wanted + 1);
  const double step = *std::min_element(strides.begin(), strides.end());
  for (double side = step; side <= 4096; side += step) {
    std::vector<SsdAnchor> anchors = make(side, side, wanted + 1);
    if (static_cast<int64_t>(anchors.size()) >= wanted) return anchors;
  }
  return {};
}

// Stops when there are `most`.
std::vector<SsdAnchor> AnchorOptions::make(double width, double height, int64_t most) const {
  std::vector<SsdAnchor> anchors;
  const size_t layers = strides.size();
  const auto scale_of = [&](size_t layer) {
    return layers == 1
               ? (min_scale + max_scale) / 2
               : min_scale + (max_scale - min_scale) * static_cast<double>(layer) / (static_cast<double>(layers) - 1);
  };
  struct Shape {
    double width, height;
  };
  std::vector<Shape> shapes;
  for (size_t layer = 0; layer < layers;) {
    // Layers of equal stride share their cells: their anchors lie cell by cell, not layer by layer.
    shapes.clear();
    size_t last = layer;
    for (; last < layers && strides[last] == strides[layer]; ++last) {
      const auto add = [&](double ratio, double scale) {
        const double root = std::sqrt(ratio);
        shapes.push_back(fixed_size ? Shape{1, 1} : Shape{scale * root, scale / root});
      };
      const double scale = scale_of(last);
      if (last == 0 && reduce_lowest) {
        add(1, 0.1), add(2, scale), add(0.5, scale);
        continue;
      }
      for (double ratio : aspect_ratios) add(ratio, scale);
      if (interpolated > 0) add(interpolated, std::sqrt(scale * (last + 1 < layers ? scale_of(last + 1) : 1.0)));
    }
    const int columns = static_cast<int>(std::ceil(width / strides[layer])),
              rows = static_cast<int>(std::ceil(height / strides[layer]));
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < columns; ++x)
        for (const Shape& shape : shapes) {
          if (static_cast<int64_t>(anchors.size()) == most) return anchors;
          anchors.push_back({static_cast<float>((x + offset) / columns), static_cast<float>((y + offset) / rows),
                             static_cast<float>(shape.width), static_cast<float>(shape.height)});
        }
    layer = last;
  }
  return anchors;
}

}  // namespace mnnlite
