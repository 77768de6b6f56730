// Definition: mnnlite/reference/decode/segmentation.py, linear_over_frame.
#include "decode/maps/upsample_bilinear.hpp"

#include <algorithm>
#include <cstring>

#include "decode/common/channel_argmax.hpp"
#include "decode/maps/class_map.hpp"

namespace mnnlite {
namespace {

float between(float first, float next, float weight) noexcept { return first + (next - first) * weight; }

}  // namespace

void BilinearUpsampler::plan(int32_t channels, int32_t width, int32_t height, Needs& needs) noexcept {
  channels_ = channels;
  width_ = width;
  height_ = height;
  most_ = needs.frame_width();
  columns_ = needs.scratch<Sample>(most_);
  line_ = needs.scratch<float>(width);
  planes_ = needs.scratch<float>(int64_t{channels} * most_);
}

BilinearUpsampler::Sample BilinearUpsampler::sample(double position, int32_t extent) noexcept {
  // Values are of the middles of pixels; beyond the outer ones the edge goes on.
  const double at = std::min(std::max(position - 0.5, 0.0), static_cast<double>(extent - 1));
  const auto first = static_cast<int32_t>(at);
  return {first, std::min(first + 1, extent - 1), static_cast<float>(at - first)};
}

bool BilinearUpsampler::run(const Call& call, const float* values, float cut, const Mapping& back,
                            const mnnlite_item& item, uint8_t* frame) const noexcept {
  Sample* columns = call.at<Sample>(columns_);
  float* planes = call.at<float>(planes_);
  const int32_t count = item.frame_width;
  const int64_t plane = int64_t{width_} * height_;
  if (back.axis_aligned()) {  // rows stay rows, so each is interpolated once up and down and once along
    double u, v;
    int32_t first = count, end = 0;  // columns that the map reaches: they are neighbours
    for (int32_t x = 0; x < count; ++x) {
      back.apply(x + 0.5, 0.5, u, v);
      columns[x] = sample(u, width_);
      if (!inside(u, width_)) continue;
      first = std::min(first, x);
      end = x + 1;
    }
    for (int32_t y = 0; y < item.frame_height; ++y, frame += count) {
      back.apply(0.5, y + 0.5, u, v);
      std::memset(frame, kIgnoreLabel, static_cast<size_t>(count));
      if (!inside(v, height_) || first >= end) continue;
      straight_row(values, columns, sample(v, height_), first, end, call.at<float>(line_), planes);
      if (!choose(planes, cut, end - first, frame + first)) return false;
    }
    return true;
  }
  for (int32_t y = 0; y < item.frame_height; ++y, frame += count) {
    for (int32_t x = 0; x < count; ++x) {
      double u, v;
      back.apply(x + 0.5, y + 0.5, u, v);
      const Sample column = sample(u, width_), row = sample(v, height_);
      const float *above = values + int64_t{row.first} * width_, *below = values + int64_t{row.next} * width_;
      for (int32_t c = 0; c < channels_; ++c, above += plane, below += plane)
        planes[int64_t{c} * count + x] =
            between(between(above[column.first], below[column.first], row.weight),
                    between(above[column.next], below[column.next], row.weight), column.weight);
    }
    if (!choose(planes, cut, count, frame)) return false;
    for (int32_t x = 0; x < count; ++x) {
      double u, v;
      back.apply(x + 0.5, y + 0.5, u, v);
      if (!inside(u, width_) || !inside(v, height_)) frame[x] = kIgnoreLabel;
    }
  }
  return true;
}

void BilinearUpsampler::straight_row(const float* values, const Sample* columns, Sample row, int32_t first, int32_t end,
                                     float* line, float* planes) const noexcept {
  const int32_t count = end - first;
  for (int32_t c = 0; c < channels_; ++c, planes += count) {
    const float* above = values + (int64_t{c} * height_ + row.first) * width_;
    const float* below = values + (int64_t{c} * height_ + row.next) * width_;
    for (int32_t x = 0; x < width_; ++x) line[x] = between(above[x], below[x], row.weight);
    for (int32_t x = 0; x < count; ++x) {
      const Sample& column = columns[first + x];
      planes[x] = between(line[column.first], line[column.next], column.weight);
    }
  }
}

bool BilinearUpsampler::choose(const float* planes, float cut, int32_t count, uint8_t* out) const noexcept {
  if (channels_ > 1) return channel_argmax_bytes(planes, channels_, count, count, out);
  bool finite = true;
  for (int32_t x = 0; x < count; ++x) {
    out[x] = planes[x] > cut ? 1 : 0;
    finite = finite && planes[x] - planes[x] == 0;
  }
  return finite;
}

}  // namespace mnnlite
