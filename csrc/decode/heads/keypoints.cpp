// Key points: coordinates that the network regresses, or one heat map a point with the peak found below a pixel, by its
// neighbours or by maps of offsets beside it.
// Definition: mnnlite/reference/decode/keypoints.py. Source of "parabola": Zhang et al. 2020 (DARK), section 3.1 — the
// logarithm of a Gaussian is a parabola, so three samples of it give its top — here for each axis; of "quarter": Xiao et
// al. 2018 (Simple Baselines), a quarter of a pixel towards the higher neighbour; of "offsets": Papandreou et al. 2018
// (PersonLab), section 3.1, and tensorflow/tfjs-models, posenet/src/single_pose.
#include <algorithm>
#include <cmath>

#include "decode/common/channel_argmax.hpp"
#include "decode/common/frame_box.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kModes[] = {"heatmap", "regressed", "offsets", nullptr};
constexpr const char* kSubpixels[] = {"parabola", "quarter", "none", nullptr};
constexpr const char* kOrders[] = {"xy", "yx", nullptr};
constexpr const char* kUnits[] = {"relative", "pixels", nullptr};
constexpr const char* kActivations[] = {"none", "sigmoid", nullptr};
constexpr const char* kLayouts[] = {"own", "NCHW", "NHWC", nullptr};
enum { kParabola, kQuarter, kNone };
enum { kHeatmap, kRegressed, kOffsets };

class Keypoints final : public BuiltIn {
 public:
  explicit Keypoints(Options& options) : BuiltIn("keypoints", 1, 2) {
    const int mode = options.choice("mode", kModes, kHeatmap);
    regressed_ = mode == kRegressed;
    offsets_ = mode == kOffsets;
    subpixel_ = options.choice("subpixel", kSubpixels, kParabola);
    pixels_ = options.choice("units", kUnits, 1) == 1;
    sigmoid_ = options.choice("activation", kActivations, 0) == 1;
    layout_ = options.choice("layout", kLayouts, 0);
    swapped_ = options.choice("order", kOrders, 0) == 1;
    per_point_ = options.integer("values", 2, 2, 16);
    confident_ = options.flag("confidence", true) && (!regressed_ || per_point_ > 2);
    score_ = static_cast<float>(options.number("score", 0, -1e30, 1e30));
  }

 private:
  TensorView named(const TensorView& tensor) const noexcept {
    TensorView view = tensor;
    if (layout_ != 0 && pack_of(layout_of(tensor)) == 1) view.layout = layout_ == 1 ? MNNLITE_NCHW : MNNLITE_NHWC;
    return view;
  }

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    char text[96];
    if (n != (offsets_ ? 2 : 1))
      return Status::error(Code::decoder,
                           "keypoints takes %s, got %d outputs; name them in the decoder's \"tensors\", or say with "
                           "\"mode\" what they are",
                           offsets_ ? "heat maps and offsets" : "one output", n);
    heat_ = 0;
    if (offsets_) MNNLITE_TRY(prepare_offsets(desc, needs));
    const TensorView view = named(desc[heat_]);
    if (regressed_) {
      MNNLITE_TRY(reader_.plan(name(), view, Order::flat, needs));
      if (reader_.per_slot() % per_point_ != 0)
        return Status::error(Code::decoder, "keypoints: output \"%s\" is %s, which is not %d numbers a point",
                             view.name, describe(view, text), static_cast<int>(per_point_));
      count_ = reader_.per_slot() / per_point_;
    } else {
      if (view.rank != 4 || !image_dims(view, dims_))
        return Status::error(Code::decoder,
                             "keypoints: output \"%s\" is %s, heat maps [N, points, rows, columns] are wanted",
                             view.name, describe(view, text));
      MNNLITE_TRY(reader_.plan(name(), view, Order::own, needs));
      count_ = dims_.channels;
      if (interleaved(reader_)) {
        tops_ = needs.scratch<float>(count_);
        cells_ = needs.scratch<int32_t>(count_);
      }
    }
    needs.kind(MNNLITE_KEYPOINTS);
    needs.rows(needs.max_items());
    needs.values(int64_t{3} * count_ * needs.max_items());
    return {};
  }

  // Which of the two has twice as many maps as the other.
  Status prepare_offsets(const TensorView* desc, Needs& needs) noexcept {
    char first[96], second[96];
    ImageDims dims[2];
    const TensorView views[2] = {named(desc[0]), named(desc[1])};
    bool fit = views[0].rank == 4 && views[1].rank == 4 && image_dims(views[0], dims[0]) &&
               image_dims(views[1], dims[1]) && dims[0].height == dims[1].height && dims[0].width == dims[1].width;
    heat_ = fit && dims[1].channels < dims[0].channels ? 1 : 0;
    fit = fit && dims[1 - heat_].channels == 2 * dims[heat_].channels;
    if (!fit)
      return Status::error(
          Code::decoder,
          "keypoints: outputs \"%s\" %s and \"%s\" %s are not heat maps [N, points, rows, columns] and "
          "offsets [N, 2 points, rows, columns]",
          desc[0].name, describe(views[0], first), desc[1].name, describe(views[1], second));
    return offset_reader_.plan(name(), views[1 - heat_], Order::own, needs);
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView view = named(call.tensors[heat_]);
    const mnnlite_item& item = call.items[slot];
    mnnlite_sink& sink = call.sink;
    if ((!regressed_ || !pixels_) && (item.net_width < 1 || item.net_height < 1))
      return Status::error(Code::decoder,
                           "keypoints needs the size of the network's input; give the decoder an image spec");
    const float* data = reader_.read(call, view, slot);
    const bool apart = !regressed_ && interleaved(reader_);
    if (!apart)
      MNNLITE_TRY(check_finite(view, slot, data, reader_.per_slot()));
    else if (!interleaved_maxima(data, dims_.height * dims_.width, count_, call.at<float>(tops_),
                                 call.at<int32_t>(cells_)))
      return not_finite(view, slot, data, reader_.per_slot());
    const Mapping mapping = mapping_of(item);
    const float* offsets = nullptr;
    if (offsets_) {
      const TensorView beside = named(call.tensors[1 - heat_]);
      offsets = offset_reader_.read(call, beside, slot);
      MNNLITE_TRY(check_finite(beside, slot, offsets, offset_reader_.per_slot()));
    }
    float* values = sink.values + sink.value_count;
    Extent extent;
    if (!(regressed_ && scaled_points(data, mapping, item, values, extent))) {
      extent = {};
      for (int32_t k = 0; k < count_; ++k) {
        double x, y;
        float confidence;
        if (regressed_) {
          const float* point = data + int64_t{k} * per_point_;
          x = static_cast<double>(point[swapped_ ? 1 : 0]) * (pixels_ ? 1 : item.net_width);
          y = static_cast<double>(point[swapped_ ? 0 : 1]) * (pixels_ ? 1 : item.net_height);
          confidence = confident_ ? point[per_point_ - 1] : 1.0f;
        } else if (offsets_) {
          confidence = beside_cell(highest(call, data, k), offsets, k, item, x, y);
        } else {
          confidence = peak(highest(call, data, k), data, k, x, y);
          x *= static_cast<double>(item.net_width) / dims_.width;
          y *= static_cast<double>(item.net_height) / dims_.height;
        }
        if (sigmoid_ && confident_) confidence = sigmoid_f32(confidence);
        mapping.apply(x, y, x, y);
        values[3 * k] = static_cast<float>(x);
        values[3 * k + 1] = static_cast<float>(y);
        values[3 * k + 2] = confidence;
        if (!std::isfinite(values[3 * k]) || !std::isfinite(values[3 * k + 1]))
          return Status::error(Code::decoder, "keypoints: output \"%s\" has a point that is not finite at index %d",
                               view.name, static_cast<int>(k));
        extent.add(x, y, confidence);
      }
    }
    mnnlite_row row{};
    row.item = item.item;
    row.class_id = row.parent = -1;
    row.score = static_cast<float>(extent.total / count_);
    if (!(row.score >= score_) || !std::isfinite(row.score)) return {};
    row.box[0] = static_cast<float>(extent.x1), row.box[1] = static_cast<float>(extent.y1);
    row.box[2] = static_cast<float>(extent.x2), row.box[3] = static_cast<float>(extent.y2);
    row.first_value = sink.value_count;
    row.value_count = 3 * count_;
    sink.value_count += row.value_count;
    sink.rows[sink.row_count++] = row;
    ++sink.found;
    return {};
  }

  // What all points have together.
  struct Extent {
    double total = 0, x1 = 1e300, y1 = 1e300, x2 = -1e300, y2 = -1e300;

    void add(double x, double y, float confidence) noexcept {
      total += confidence;
      x1 = std::min(x1, x), y1 = std::min(y1, y), x2 = std::max(x2, x), y2 = std::max(y2, y);
    }
  };

  // Regressed points through a mapping that only scales and shifts, as most do: the same bits as by `apply`, without
  // asking for each point what all have in common. False: another mapping, or a point that is not finite.
  bool scaled_points(const float* data, const Mapping& mapping, const mnnlite_item& item, float* values,
                     Extent& extent) const noexcept {
    const double* m = mapping.m;
    if (!mapping.axis_aligned() || m[8] != 1 || (sigmoid_ && confident_)) return false;
    for (int i : {0, 2, 4, 5})
      if (!std::isfinite(m[i])) return false;  // then no point is NaN, and the extent tells whether all are finite
    const double scale_x = m[0], scale_y = m[4], shift_x = m[2], shift_y = m[5];
    const double unit_x = pixels_ ? 1 : item.net_width, unit_y = pixels_ ? 1 : item.net_height;
    const float* from = data + (swapped_ ? 1 : 0);
    const int32_t step = per_point_, beside = swapped_ ? -1 : 1, last = step - 1 - (swapped_ ? 1 : 0);
    const bool confident = confident_;
    Extent found;
    for (int32_t k = 0; k < count_; ++k, from += step, values += 3) {
      const double x = static_cast<double>(from[0]) * unit_x * scale_x + shift_x;
      const double y = static_cast<double>(from[beside]) * unit_y * scale_y + shift_y;
      const float confidence = confident ? from[last] : 1.0f;
      values[0] = static_cast<float>(x);
      values[1] = static_cast<float>(y);
      values[2] = confidence;
      found.add(x, y, confidence);
    }
    extent = found;
    for (double edge : {found.x1, found.y1, found.x2, found.y2})
      if (!std::isfinite(static_cast<float>(edge))) return false;
    return true;
  }

  static bool interleaved(const Reader& reader) noexcept { return reader.order() == Order::hwc; }

  const float* cell_of(const Reader& reader, const float* data, int32_t channels, int32_t channel,
                       int32_t cell) const noexcept {
    const int64_t area = int64_t{dims_.height} * dims_.width;
    return data + (interleaved(reader) ? int64_t{cell} * channels + channel : channel * area + cell);
  }

  // A map's highest cell. Of maps side by side all were found in one pass over the output.
  RowMax highest(const Call& call, const float* data, int32_t k) const noexcept {
    if (interleaved(reader_)) return {call.at<float>(tops_)[k], call.at<int32_t>(cells_)[k], true};
    const int32_t area = dims_.height * dims_.width;
    return row_max(data + int64_t{k} * area, area);
  }

  // The best cell's place in pixels of the network's input, and what the offsets add to it. Cells lie from the middle of
  // the first pixel to that of the last one.
  float beside_cell(const RowMax& best, const float* offsets, int32_t k, const mnnlite_item& item, double& x,
                    double& y) const noexcept {
    const auto step = [](int32_t net, int32_t cells) { return cells > 1 ? (net - 1.0) / (cells - 1) : 0.0; };
    const auto offset = [&](int32_t channel) {
      return static_cast<double>(*cell_of(offset_reader_, offsets, 2 * count_, channel, best.index));
    };
    x = best.index % dims_.width * step(item.net_width, dims_.width) + offset(swapped_ ? k + count_ : k);
    y = best.index / dims_.width * step(item.net_height, dims_.height) + offset(swapped_ ? k : k + count_);
    return best.value;
  }

  // Where the map is highest, in map pixels (pixel i covers [i, i+1)), and how high.
  float peak(const RowMax& best, const float* data, int32_t k, double& x, double& y) const noexcept {
    const float* top = cell_of(reader_, data, count_, k, best.index);
    const int32_t across = interleaved(reader_) ? count_ : 1, down = across * dims_.width;
    const int32_t column = best.index % dims_.width, row = best.index / dims_.width;
    x = column + 0.5;
    y = row + 0.5;
    if (column > 0 && column + 1 < dims_.width) x += shift(top[-across], best.value, top[across]);
    if (row > 0 && row + 1 < dims_.height) y += shift(top[-down], best.value, top[down]);
    return best.value;
  }

  double shift(float before, float top, float after) const noexcept {
    if (subpixel_ == kNone || before == after) return 0;
    if (subpixel_ == kQuarter) return after > before ? 0.25 : -0.25;
    double a = before, b = top, c = after;
    if (before > 0 && after > 0) a = std::log(a), b = std::log(b), c = std::log(c);
    const double bend = a - 2 * b + c;
    // The top is the largest of the three, so the shift is at most half a pixel.
    return bend < 0 ? std::min(std::max((a - c) / (2 * bend), -0.5), 0.5) : 0;
  }

  bool regressed_, offsets_, pixels_, swapped_, sigmoid_, confident_;
  int subpixel_, layout_, heat_ = 0;
  int32_t per_point_, count_ = 0;
  float score_;
  ImageDims dims_;
  Reader reader_, offset_reader_;
  size_t tops_ = 0, cells_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_keypoints(Options& options) { return std::make_unique<Keypoints>(options); }

}  // namespace mnnlite
