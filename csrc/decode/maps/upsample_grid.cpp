// Definition: mnnlite/reference/decode/segmentation.py, upsampled.
#include "decode/maps/upsample_grid.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "decode/common/channel_argmax.hpp"

namespace mnnlite {
namespace {

constexpr const char* kRules[] = {"half_pixel", "align_corners", "asymmetric", nullptr};
constexpr double kMostSide = 16384;

float between(float first, float next, float weight) noexcept { return first + (next - first) * weight; }

bool whole_side(double value) noexcept {
  return value >= 1 && value <= kMostSide && value == static_cast<int32_t>(value);
}

}  // namespace

void GridUpsampler::read(Options& options) {
  const std::vector<double> size = options.numbers("upsample");
  rule_ = options.choice("upsample_by", kRules, kHalfPixel);
  if (size.empty()) return;
  if (size.size() != 2 || !whole_side(size[0]) || !whole_side(size[1])) {
    options.fail(Status::error(
        Code::argument, "%s: option \"upsample\" wants the width and height of the map, whole numbers from 1 to %d",
        options.family(), static_cast<int>(kMostSide)));
    return;
  }
  width_ = static_cast<int32_t>(size[0]);
  height_ = static_cast<int32_t>(size[1]);
}

void GridUpsampler::plan(int32_t channels, int32_t width, int32_t height, Needs& needs) noexcept {
  channels_ = channels;
  from_width_ = width;
  from_height_ = height;
  columns_ = needs.scratch<Sample>(width_);
  for (size_t& each : wide_) each = needs.scratch<float>(int64_t{channels} * width_);
  planes_ = needs.scratch<float>(int64_t{channels} * width_);
}

GridUpsampler::Sample GridUpsampler::sample(int32_t at, int32_t from, int32_t to) const noexcept {
  double position = 0;
  if (rule_ == kAlignCorners)
    position = to > 1 ? static_cast<double>(int64_t{at} * (from - 1)) / (to - 1) : 0;
  else if (rule_ == kAsymmetric)
    position = static_cast<double>(int64_t{at} * from) / to;
  else
    position = (at + 0.5) * from / to - 0.5;
  position = std::min(std::max(position, 0.0), static_cast<double>(from - 1));
  const auto first = static_cast<int32_t>(position);
  return {first, std::min(first + 1, from - 1), static_cast<float>(position - first)};
}

void GridUpsampler::widen(const float* values, int32_t row, const Sample* columns, float* out) const noexcept {
  for (int32_t c = 0; c < channels_; ++c, out += width_) {
    const float* line = values + (int64_t{c} * from_height_ + row) * from_width_;
    for (int32_t x = 0; x < width_; ++x)
      out[x] = between(line[columns[x].first], line[columns[x].next], columns[x].weight);
  }
}

bool GridUpsampler::run(const Call& call, const float* values, uint8_t* map) const noexcept {
  Sample* columns = call.at<Sample>(columns_);
  for (int32_t x = 0; x < width_; ++x) columns[x] = sample(x, from_width_, width_);
  float *above = call.at<float>(wide_[0]), *below = call.at<float>(wide_[1]), *planes = call.at<float>(planes_);
  int32_t has_above = -1, has_below = -1;  // which rows of the small grid they are
  const int64_t count = int64_t{channels_} * width_;
  for (int32_t y = 0; y < height_; ++y, map += width_) {
    const Sample row = sample(y, from_height_, height_);
    if (has_below == row.first) {
      std::swap(above, below);
      std::swap(has_above, has_below);
    }
    if (has_above != row.first) widen(values, has_above = row.first, columns, above);
    if (has_below != row.next) widen(values, has_below = row.next, columns, below);
    for (int64_t i = 0; i < count; ++i) planes[i] = between(above[i], below[i], row.weight);
    if (!channel_argmax_bytes(planes, channels_, width_, width_, map)) return false;
  }
  return true;
}

}  // namespace mnnlite
