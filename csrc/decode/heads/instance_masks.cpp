// Definition: mnnlite/reference/decode/instances.py. Sources: Bolya et al. 2019 (YOLACT), section 3.1, equation 1;
// ultralytics, utils/ops.py process_mask_native: masks are enlarged before they are cut to their boxes.
#include "decode/heads/instance_masks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/common/kernels.hpp"

namespace mnnlite {
namespace {

constexpr int32_t kMostCoefficients = 1024;

// Both products are of one sign with their numbers, so between two positive numbers all are positive.
float between(float first, float next, float weight) noexcept { return first * (1.0f - weight) + next * weight; }

// Set bits [begin, end) of a row.
void set_bits(uint8_t* row, int32_t begin, int32_t end) noexcept {
  const int32_t first = begin / 8, last = end / 8;
  const auto head = static_cast<uint8_t>(0xff >> (begin % 8)), tail = static_cast<uint8_t>(0xff00 >> (end % 8));
  if (first == last) {
    row[first] = static_cast<uint8_t>(row[first] | (head & tail));
    return;
  }
  row[first] = static_cast<uint8_t>(row[first] | head);
  std::memset(row + first + 1, 0xff, static_cast<size_t>(last - first - 1));
  if (end % 8) row[last] = static_cast<uint8_t>(row[last] | tail);
}

int32_t clamped(double value, int32_t most) noexcept {
  return value <= 0 ? 0 : value >= most ? most : static_cast<int32_t>(value);
}

}  // namespace

Status InstanceMasks::plan(const char* family, const TensorView& desc, int64_t room, int32_t max_rows,
                           Needs& needs) noexcept {
  char text[96];
  dims_ = {};
  ImageDims dims;
  if (desc.rank != 4 || !image_dims(desc, dims) || dims.channels > kMostCoefficients)
    return Status::error(Code::decoder,
                         "%s: output \"%s\" is %s, prototypes of masks [N, numbers, rows, columns] are wanted", family,
                         desc.name, describe(desc, text));
  MNNLITE_TRY(reader_.plan(family, desc, Order::chw, needs));
  dims_ = dims;
  needs.depends_on_frame();
  const int32_t width = needs.frame_width(), height = needs.frame_height();
  weights_ = needs.scratch<float>(dims_.channels);
  map_ = needs.scratch<float>(int64_t{dims_.height} * dims_.width);
  line_ = needs.scratch<float>(dims_.width);
  samples_ = needs.scratch<Sample>(width);
  stretches_ = needs.scratch<Stretch>(width);
  const int64_t frame = (int64_t{width} + 7) / 8 * height;
  needs.pixels(std::min(std::max(room, frame), frame * max_rows) * needs.max_items());
  return {};
}

InstanceMasks::Sample InstanceMasks::sample(double position, int32_t extent) noexcept {
  // Values are of the middles of pixels; beyond the outer ones the edge goes on.
  const double at = std::min(std::max(position - 0.5, 0.0), static_cast<double>(extent - 1));
  const auto first = static_cast<int32_t>(at);
  return {first, std::min(first + 1, extent - 1), static_cast<float>(at - first)};
}

// The weighted sum of the prototypes in a rectangle of the map, both ends included.
bool InstanceMasks::logits(const Call& call, const float* prototypes, int32_t x1, int32_t y1, int32_t x2,
                           int32_t y2) const noexcept {
  const float* weights = call.at<float>(weights_);
  float* map = call.at<float>(map_);
  const int64_t plane = int64_t{dims_.height} * dims_.width;
  const int32_t count = x2 - x1 + 1;
  const DecodeKernels& kernels = decode_kernels();
  for (int32_t y = y1; y <= y2; ++y) {
    const int64_t at = int64_t{y} * dims_.width + x1;
    std::memset(map + at, 0, static_cast<size_t>(count) * sizeof(float));
    kernels.add_planes(map + at, prototypes + at, plane, weights, dims_.channels, count);
    if (!all_finite(map + at, count)) return false;
  }
  return true;
}

InstanceMasks::Outcome InstanceMasks::write(const Call& call, const TensorView& prototypes, int slot, const float* box,
                                            mnnlite_row& row) const noexcept {
  const mnnlite_item& item = call.items[slot];
  mnnlite_sink& sink = call.sink;
  // Pixel x is in the box if x1 <= x < x2, as its exporter cuts masks.
  const int32_t left = clamped(std::ceil(row.box[0]), item.frame_width),
                right = clamped(std::ceil(row.box[2]), item.frame_width);
  const int32_t top = clamped(std::ceil(row.box[1]), item.frame_height),
                bottom = clamped(std::ceil(row.box[3]), item.frame_height);
  if (left >= right || top >= bottom) return kEmpty;
  row.left = left, row.top = top, row.width = right - left, row.height = bottom - top;
  const int64_t bytes = (int64_t{row.width} + 7) / 8 * row.height;
  if (bytes > sink.pixel_capacity - sink.pixel_count) return kNoRoom;

  const Mapping to_frame = mapping_of(item), map = map_to_frame(item, dims_.width, dims_.height);
  Mapping back, to_net;
  if (!map.inverse(back) || !to_frame.inverse(to_net)) return kEmpty;
  // What of the map the rectangle touches: a projective image of a convex rectangle is convex, so its corners say.
  double low[2] = {1e30, 1e30}, high[2] = {-1e30, -1e30};
  for (const double y : {top + 0.5, bottom - 0.5})
    for (const double x : {left + 0.5, right - 0.5}) {
      double at[2];
      back.apply(x, y, at[0], at[1]);
      for (int axis = 0; axis < 2; ++axis) {
        if (!(std::fabs(at[axis]) < 1e9)) return kEmpty;
        low[axis] = std::min(low[axis], at[axis]), high[axis] = std::max(high[axis], at[axis]);
      }
    }
  const float* planes = reader_.again(call, prototypes, slot);
  if (!logits(call, planes, sample(low[0], dims_.width).first, sample(low[1], dims_.height).first,
              sample(high[0], dims_.width).next, sample(high[1], dims_.height).next))
    return kNotFinite;
  uint8_t* bits = sink.pixels + sink.pixel_count;
  std::memset(bits, 0, static_cast<size_t>(bytes));
  const int64_t pixels =
      back.axis_aligned() ? aligned_rows(call, back, row, bits) : turned_rows(call, back, to_net, box, row, bits);
  if (pixels == 0) return kEmpty;
  row.first_pixel = sink.pixel_count;
  row.area = static_cast<float>(pixels);
  sink.pixel_count += static_cast<int32_t>(bytes);
  return kWritten;
}

// Between two neighbours of the map a row of the frame changes its sign at most once: most stretches are set or left at once.
int64_t InstanceMasks::aligned_rows(const Call& call, const Mapping& back, const mnnlite_row& row,
                                    uint8_t* bits) const noexcept {
  Sample* samples = call.at<Sample>(samples_);
  Stretch* stretches = call.at<Stretch>(stretches_);
  float *line = call.at<float>(line_), *map = call.at<float>(map_);
  int32_t count = 0, first = row.width, end = 0;  // columns that the map reaches: they are neighbours
  double u, v;
  for (int32_t x = 0; x < row.width; ++x) {
    back.apply(row.left + x + 0.5, 0.5, u, v);
    if (!(u >= 0 && u < dims_.width)) continue;
    samples[x] = sample(u, dims_.width);
    if (count == 0 || stretches[count - 1].first != samples[x].first || stretches[count - 1].end != x)
      stretches[count++] = {x, x + 1, samples[x].first, samples[x].next};
    else
      stretches[count - 1].end = x + 1;
    first = std::min(first, x), end = x + 1;
  }
  if (first >= end) return 0;
  const int32_t low = std::min(stretches[0].first, stretches[count - 1].first),
                high = std::max(stretches[0].next, stretches[count - 1].next);
  const int32_t step = (row.width + 7) / 8;
  int64_t pixels = 0;
  for (int32_t y = 0; y < row.height; ++y, bits += step) {
    back.apply(0.5, row.top + y + 0.5, u, v);
    if (!(v >= 0 && v < dims_.height)) continue;
    const Sample across = sample(v, dims_.height);
    const float *above = map + int64_t{across.first} * dims_.width, *below = map + int64_t{across.next} * dims_.width;
    for (int32_t x = low; x <= high; ++x) line[x] = between(above[x], below[x], across.weight);
    int32_t begin = -1;  // of the run of set pixels that has not ended
    for (int32_t k = 0; k < count; ++k) {
      const Stretch& s = stretches[k];
      const float a = line[s.first], b = line[s.next];
      if (a > 0 && b > 0) {
        if (begin < 0) begin = s.begin;
        continue;
      }
      int32_t x = s.begin;
      if (a > 0 || b > 0) {
        for (; x < s.end; ++x) {
          const bool set = between(a, b, samples[x].weight) > 0;
          if (set && begin < 0) begin = x;
          if (!set && begin >= 0) set_bits(bits, begin, x), pixels += x - begin, begin = -1;
        }
      } else if (begin >= 0) {
        set_bits(bits, begin, x), pixels += x - begin, begin = -1;
      }
    }
    if (begin >= 0) set_bits(bits, begin, end), pixels += end - begin;
  }
  return pixels;
}

int64_t InstanceMasks::turned_rows(const Call& call, const Mapping& back, const Mapping& to_net, const float* box,
                                   const mnnlite_row& row, uint8_t* bits) const noexcept {
  const float* map = call.at<float>(map_);
  const int32_t step = (row.width + 7) / 8;
  int64_t pixels = 0;
  for (int32_t y = 0; y < row.height; ++y, bits += step)
    for (int32_t x = 0; x < row.width; ++x) {
      double u, v;
      to_net.apply(row.left + x + 0.5, row.top + y + 0.5, u, v);
      if (!(u >= box[0] && u < box[2] && v >= box[1] && v < box[3])) continue;
      back.apply(row.left + x + 0.5, row.top + y + 0.5, u, v);
      if (!(u >= 0 && u < dims_.width && v >= 0 && v < dims_.height)) continue;
      const Sample column = sample(u, dims_.width), across = sample(v, dims_.height);
      const float *above = map + int64_t{across.first} * dims_.width, *below = map + int64_t{across.next} * dims_.width;
      const float value = between(between(above[column.first], below[column.first], across.weight),
                                  between(above[column.next], below[column.next], across.weight), column.weight);
      if (!(value > 0)) continue;
      set_bits(bits, x, x + 1);
      ++pixels;
    }
  return pixels;
}

}  // namespace mnnlite
