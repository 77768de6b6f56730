#include "decode/maps/class_map.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/common/channel_argmax.hpp"
#include "decode/common/kernels.hpp"
#include "decode/common/math.hpp"

namespace mnnlite {
namespace {

constexpr const char* kModes[] = {"auto", "argmax", "binary", "classes", nullptr};
constexpr const char* kActivations[] = {"none", "sigmoid", nullptr};
constexpr const char* kLayouts[] = {"own", "NCHW", "NHWC", nullptr};

// Returns the index of the first value that is no class, or -1.
template <class T>
int64_t copy_classes(const T* source, int64_t count, uint8_t* map) noexcept {
  for (int64_t i = 0; i < count; ++i) {
    const T value = source[i];
    if (!(value >= 0 && static_cast<double>(value) <= 255) || static_cast<T>(static_cast<uint8_t>(value)) != value)
      return i;
    map[i] = static_cast<uint8_t>(value);
  }
  return -1;
}

// Where the run of equal bytes that begins at x ends; eight at a time.
int32_t run_end(const uint8_t* row, int32_t x, int32_t width) noexcept {
  const uint64_t value = row[x] * uint64_t{0x0101010101010101};
  for (++x; x + 8 <= width; x += 8) {
    uint64_t here;
    std::memcpy(&here, row + x, 8);
    if (here != value) break;
  }
  while (x < width && row[x] == static_cast<uint8_t>(value)) ++x;
  return x;
}

// Calls run(class, index of the first pixel, pixels) for runs of equal bytes, row by row, and says what each class has.
template <class Run>
void measure_runs(const uint8_t* map, int32_t width, int32_t height, ClassExtent* extents, const Run& run) noexcept {
  std::fill(extents, extents + 256, ClassExtent{0, INT32_MAX, INT32_MAX, 0, 0});
  for (int32_t y = 0; y < height; ++y, map += width)
    for (int32_t x = 0; x < width;) {
      const uint8_t value = map[x];
      const int32_t end = run_end(map, x, width);
      ClassExtent& extent = extents[value];
      extent.count += end - x;
      extent.x1 = std::min(extent.x1, x);
      extent.x2 = std::max(extent.x2, end);
      extent.y1 = std::min(extent.y1, y);
      extent.y2 = y + 1;
      run(value, int64_t{y} * width + x, end - x);
      x = end;
    }
}

// The sum of a run of numbers in eight sums side by side, which a compiler makes vectors of: an order of its own, and the
// same one on every CPU. Runs may be given in parts of whole eights.
class RunSum {
 public:
  // Of each number, or of what it lacks to 1.
  void add(const float* values, int32_t count, bool itself) noexcept {
    if (itself)
      add(values, count, [](float v) { return v; });
    else
      add(values, count, [](float v) { return 1.0f - v; });
  }
  double total() const noexcept {
    return ((sums_[0] + sums_[1]) + (sums_[2] + sums_[3])) + ((sums_[4] + sums_[5]) + (sums_[6] + sums_[7]));
  }

 private:
  static constexpr int32_t kSums = 8;

  template <class Part>
  void add(const float* values, int32_t count, const Part& part_of) noexcept {
    int32_t i = 0;
    for (; i + kSums <= count; i += kSums) {
      float here[kSums];
      for (int32_t k = 0; k < kSums; ++k) here[k] = part_of(values[i + k]);
      for (int32_t k = 0; k < kSums; ++k) sums_[k] += static_cast<double>(here[k]);
    }
    for (int32_t k = 0; i < count; ++i, ++k) sums_[k] += static_cast<double>(part_of(values[i]));
  }

  double sums_[kSums] = {};
};

bool inside(const mnnlite_item& item, double x, double y) noexcept {
  return x >= 0 && y >= 0 && x < item.frame_width && y < item.frame_height;
}

// Pixels of the map whose centre lies outside the frame become kIgnoreLabel.
void hide_outside(const Mapping& to_frame, const mnnlite_item& item, int32_t width, int32_t height,
                  uint8_t* map) noexcept {
  // A projective image of a convex quadrilateral is convex, so the frame holds every pixel if it holds the corners.
  bool all = true;
  for (double y : {0.5, height - 0.5})
    for (double x : {0.5, width - 0.5}) {
      double u, v;
      to_frame.apply(x, y, u, v);
      all = all && inside(item, u, v);
    }
  if (all) return;
  for (int32_t y = 0; y < height; ++y)
    for (int32_t x = 0; x < width; ++x) {
      double u, v;
      to_frame.apply(x + 0.5, y + 0.5, u, v);
      if (!inside(item, u, v)) map[int64_t{y} * width + x] = kIgnoreLabel;
    }
}

}  // namespace

void ClassMapper::read(Options& options) noexcept {
  wanted_ = options.choice("mode", kModes, kAuto);
  activation_ = options.choice("activation", kActivations, 0);
  layout_ = options.choice("layout", kLayouts, 0);
  threshold_ = static_cast<float>(options.number("threshold", 0.5, -1e30, 1e30));
  if (activation_ == 1 && !(threshold_ >= 0 && threshold_ <= 1))
    options.fail(Status::error(Code::argument,
                               "%s: with activation \"sigmoid\" the threshold must be in [0, 1], got %g",
                               options.family(), static_cast<double>(threshold_)));
  scores_ = options.flag("scores", false);
  cut_ = activation_ == 1 ? logit_of(threshold_) : threshold_;
}

TensorView ClassMapper::named(const TensorView& tensor) const noexcept {
  TensorView view = tensor;
  if (layout_ != 0 && pack_of(layout_of(tensor)) == 1) view.layout = layout_ == 1 ? MNNLITE_NCHW : MNNLITE_NHWC;
  return view;
}

Status ClassMapper::plan(const char* family, const TensorView& desc, Needs& needs) noexcept {
  const TensorView view = named(desc);
  char text[96];
  if (!image_dims(view, dims_))
    return Status::error(Code::decoder, "%s: output \"%s\" is %s, an image of rank 4 or a map [N, H, W] is wanted",
                         family, desc.name, describe(view, text));
  const DType dtype = dtype_of(view);
  const bool whole = dtype != DType::f32 && dtype != DType::f16 && view.scale == 0;
  mode_ = wanted_ != kAuto ? wanted_ : dims_.channels > 1 ? kArgmax : whole ? kClasses : kBinary;
  const bool fits = mode_ == kArgmax ? dims_.channels > 1 && dims_.channels < 256 : dims_.channels == 1;
  if (!fits)
    return Status::error(Code::decoder, "%s: output \"%s\" is %s; mode \"%s\" wants %s", family, desc.name,
                         describe(view, text), kModes[mode_], mode_ == kArgmax ? "2 to 255 channels" : "one channel");
  if (mode_ != kClasses) needs.classes(classes());
  if (grid_.wanted()) {
    if (mode_ != kArgmax || scores_)
      return Status::error(
          Code::decoder,
          "%s: option \"upsample\" is for outputs with a channel a class, and without \"scores\"; output "
          "\"%s\" is %s",
          family, desc.name, describe(view, text));
    grid_.plan(dims_.channels, dims_.width, dims_.height, needs);
  }
  return reader_.plan(family, view, Order::chw, needs);
}

Status ClassMapper::classify(const char* family, const Call& call, const TensorView& tensor, int slot,
                             uint8_t* map) const noexcept {
  const TensorView view = named(tensor);
  const int64_t count = int64_t{dims_.height} * dims_.width;
  if (mode_ == kClasses) {
    int64_t wrong = -1;
    const size_t first = static_cast<size_t>(slot) * static_cast<size_t>(count);
    if (dtype_of(view) == DType::u8 && reader_.per_slot() == count && pack_of(layout_of(view)) == 1)
      std::memcpy(map, static_cast<const uint8_t*>(view.data) + first, static_cast<size_t>(count));
    else if (dtype_of(view) == DType::i32 && pack_of(layout_of(view)) == 1)
      wrong = copy_classes(static_cast<const int32_t*>(view.data) + first, count, map);
    else
      wrong = copy_classes(reader_.read(call, view, slot), count, map);
    if (wrong >= 0)
      return Status::error(Code::decoder,
                           "%s: output \"%s\" holds a value that is no class (0 to 255) at index %lld of slot %d",
                           family, tensor.name, static_cast<long long>(wrong), slot);
    return {};
  }
  const float* values = reader_.read(call, view, slot);
  if (grid_.wanted()) {
    if (!grid_.run(call, values, map)) return not_finite(tensor, slot, values, count * dims_.channels);
    return {};
  }
  if (mode_ == kArgmax) {
    if (!channel_argmax_bytes(values, dims_.channels, count, count, map))
      return not_finite(tensor, slot, values, count * dims_.channels);
    return {};
  }
  MNNLITE_TRY(check_finite(tensor, slot, values, count));
  const float cut = cut_;  // a copy, which no store of bytes can change
  for (int64_t i = 0; i < count; ++i) map[i] = values[i] > cut ? 1 : 0;
  return {};
}

double ClassMapper::probability(const float* values, int64_t pixel, int32_t class_id) const noexcept {
  const int64_t count = int64_t{dims_.height} * dims_.width;
  const float best = values[class_id * count + pixel];
  double sum = 0;
  for (int32_t c = 0; c < dims_.channels; ++c) sum += exp_f32(values[c * count + pixel] - best);
  return 1 / sum;
}

double ClassMapper::sum_binary(const float* values, int32_t count, int32_t class_id) const noexcept {
  RunSum sum;
  if (activation_ == 0) {
    sum.add(values, count, class_id != 0);
    return sum.total();
  }
  constexpr int32_t kBlock = 256;
  float block[kBlock];
  for (int32_t i = 0; i < count; i += kBlock) {
    const int32_t here = std::min(kBlock, count - i);
    decode_kernels().sigmoids(values + i, here, block);
    sum.add(block, here, class_id != 0);
  }
  return sum.total();
}

Status ClassMapper::run(const char* family, const Call& call, const TensorView& tensor, int slot, uint8_t* map,
                        Mapping& to_frame) const noexcept {
  MNNLITE_TRY(classify(family, call, tensor, slot, map));
  const mnnlite_item& item = call.items[slot];
  to_frame = map_to_frame(item, width(), height());
  hide_outside(to_frame, item, width(), height(), map);
  return {};
}

void ClassMapper::measure(const Call& call, const TensorView& tensor, int slot, const uint8_t* map,
                          ClassExtent* extents, double* means, int32_t skip) const noexcept {
  if (!scored()) {
    measure_classes(map, width(), height(), extents);
    return;
  }
  std::fill(means, means + 256, 0.0);
  const float* values = reader_.again(call, named(tensor), slot);
  if (mode_ == kArgmax) {  // neighbours' classes may all differ
    measure_classes(map, width(), height(), extents);
    const int64_t count = int64_t{height()} * width();
    for (int64_t i = 0; i < count; ++i)
      if (map[i] != kIgnoreLabel) means[map[i]] += probability(values, i, map[i]);
  } else {
    measure_runs(map, width(), height(), extents, [&](uint8_t value, int64_t first, int32_t count) {
      if (value != kIgnoreLabel && value != skip) means[value] += sum_probability(values, first, count, value);
    });
  }
  for (int c = 0; c < 256; ++c)
    if (extents[c].count > 0) means[c] /= static_cast<double>(extents[c].count);
}

double ClassMapper::sum_probability(const float* values, int64_t first, int32_t count,
                                    int32_t class_id) const noexcept {
  if (mode_ == kClasses) return count;
  if (mode_ == kBinary) return sum_binary(values + first, count, class_id);
  double sum = 0;
  for (int64_t i = first; i < first + count; ++i) sum += probability(values, i, class_id);
  return sum;
}

double ClassMapper::sum_probability(const Call& call, const TensorView& tensor, int slot, int64_t first, int32_t count,
                                    int32_t class_id) const noexcept {
  return sum_probability(reader_.again(call, named(tensor), slot), first, count, class_id);
}

void spread_over_frame(const Mapping& back, const mnnlite_item& item, int32_t width, int32_t height, const uint8_t* map,
                       int32_t* columns, uint8_t* frame) noexcept {
  const auto index = [](double position, int32_t extent) {
    return position >= 0 && position < extent ? static_cast<int32_t>(position) : -1;
  };
  if (back.axis_aligned()) {
    double u, v;
    for (int32_t x = 0; x < item.frame_width; ++x) {
      back.apply(x + 0.5, 0.5, u, v);
      columns[x] = index(u, width);
    }
    for (int32_t y = 0; y < item.frame_height; ++y, frame += item.frame_width) {
      back.apply(0.5, y + 0.5, u, v);
      const int32_t row = index(v, height);
      if (row < 0) {
        std::memset(frame, kIgnoreLabel, static_cast<size_t>(item.frame_width));
        continue;
      }
      const uint8_t* line = map + int64_t{row} * width;
      for (int32_t x = 0; x < item.frame_width; ++x) frame[x] = columns[x] < 0 ? kIgnoreLabel : line[columns[x]];
    }
    return;
  }
  for (int32_t y = 0; y < item.frame_height; ++y)
    for (int32_t x = 0; x < item.frame_width; ++x) {
      double u, v;
      back.apply(x + 0.5, y + 0.5, u, v);
      const int32_t column = index(u, width), row = index(v, height);
      *frame++ = column < 0 || row < 0 ? kIgnoreLabel : map[int64_t{row} * width + column];
    }
}

void measure_classes(const uint8_t* map, int32_t width, int32_t height, ClassExtent* extents) noexcept {
  measure_runs(map, width, height, extents, [](uint8_t, int64_t, int32_t) {});
}

double pixel_area(const Mapping& to_frame, int32_t width, int32_t height) noexcept {
  double x[4], y[4];
  to_frame.apply(0, 0, x[0], y[0]);
  to_frame.apply(width, 0, x[1], y[1]);
  to_frame.apply(width, height, x[2], y[2]);
  to_frame.apply(0, height, x[3], y[3]);
  double twice = 0;
  for (int i = 0; i < 4; ++i) twice += x[i] * y[(i + 1) % 4] - x[(i + 1) % 4] * y[i];
  return std::fabs(twice) / 2 / (static_cast<double>(width) * height);
}

}  // namespace mnnlite
