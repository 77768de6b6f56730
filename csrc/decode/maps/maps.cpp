// Numbers a pixel as they are (depth, matting), or a picture (super-resolution), with where they lie in the frame.
// Definition: mnnlite/reference/decode/maps.py.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/common/frame_box.hpp"
#include "decode/common/kernels.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kActivations[] = {"none", "sigmoid", nullptr};
constexpr const char* kSizes[] = {"network", "frame", nullptr};
constexpr const char* kOutputs[] = {"values", "picture", nullptr};
constexpr const char* kLayouts[] = {"own", "NCHW", "NHWC", nullptr};

class Maps final : public BuiltIn {
 public:
  explicit Maps(Options& options) : BuiltIn("maps", 1, 1) {
    batched_rank(3);
    sigmoid_ = options.choice("activation", kActivations, 0) == 1;
    frame_ = options.choice("size", kSizes, 0) == 1;
    picture_ = options.choice("output", kOutputs, 0) == 1;
    layout_ = options.choice("layout", kLayouts, 0);
    scale_ = static_cast<float>(options.number("scale", 1, -1e12, 1e12));
    offset_ = static_cast<float>(options.number("offset", 0, -1e12, 1e12));
  }

 private:
  struct Sample {  // between `first` and the next one
    int32_t first, next;
    float weight;  // of the next one
  };

  TensorView named(const TensorView& tensor) const noexcept {
    TensorView view = tensor;
    if (layout_ != 0 && pack_of(layout_of(tensor)) == 1) view.layout = layout_ == 1 ? MNNLITE_NCHW : MNNLITE_NHWC;
    return view;
  }

  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    const TensorView view = named(desc[0]);
    if (!image_dims(view, dims_) || (picture_ && dims_.channels != 1 && dims_.channels != 3 && dims_.channels != 4))
      return Status::error(Code::decoder,
                           "maps: output \"%s\" is %s, %s [N, C, rows, columns] or [N, rows, columns] are wanted",
                           desc[0].name, describe(view, text), picture_ ? "pictures of 1, 3 or 4 channels" : "maps");
    MNNLITE_TRY(reader_.plan(name(), view, Order::chw, needs));
    if (changed()) scaled_ = needs.scratch<float>(reader_.per_slot());
    int64_t width = dims_.width, height = dims_.height;
    if (frame_) {
      needs.depends_on_frame();
      width = needs.frame_width(), height = needs.frame_height();
      columns_ = needs.scratch<int32_t>(width);
      weights_ = needs.scratch<float>(width);
      lines_ = needs.scratch<float>(2 * width);
    }
    plane_ = needs.scratch<float>(picture_ ? width * height * dims_.channels : 0);
    const int64_t numbers = width * height * dims_.channels;
    needs.kind(MNNLITE_MAPS);
    needs.rows(needs.max_items());
    needs.values((9 + (picture_ ? 0 : numbers)) * needs.max_items());
    needs.pixels(picture_ ? numbers * needs.max_items() : 0);
    return {};
  }

  bool changed() const noexcept { return sigmoid_ || scale_ != 1 || offset_ != 0; }

  static Sample sample(double position, int32_t extent) noexcept {
    const double at = std::min(std::max(position - 0.5, 0.0), static_cast<double>(extent - 1));
    const auto first = static_cast<int32_t>(at);
    return {first, std::min(first + 1, extent - 1), static_cast<float>(at - first)};
  }
  static float between(float first, float next, float weight) noexcept {
    return first * (1.0f - weight) + next * weight;
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    mnnlite_sink& sink = call.sink;
    const TensorView view = named(call.tensors[0]);
    const float* data = reader_.read(call, view, slot);
    MNNLITE_TRY(check_finite(view, slot, data, reader_.per_slot()));
    // Before anything is enlarged: there are fewer numbers, and between finite ones all are finite.
    if (changed()) {
      float* scaled = call.at<float>(scaled_);
      if (sigmoid_) decode_kernels().sigmoids(data, reader_.per_slot(), scaled);
      const float* from = sigmoid_ ? scaled : data;
      for (int32_t i = 0; i < reader_.per_slot(); ++i) scaled[i] = from[i] * scale_ + offset_;
      data = scaled;
      if (!all_finite(data, reader_.per_slot()))
        return Status::error(Code::decoder, "maps: output \"%s\" scaled by %g is not finite", view.name,
                             static_cast<double>(scale_));
    }
    const Mapping map = map_to_frame(item, dims_.width, dims_.height);
    Mapping back;
    const float whole[4] = {0, 0, static_cast<float>(dims_.width), static_cast<float>(dims_.height)};
    mnnlite_row row{};
    if (!map.inverse(back) || !box_in_frame(map, item, whole, true, row.box)) return {};
    // The part of the map, or of the frame, that the other one has pixels for.
    int32_t x1 = 0, y1 = 0, x2 = dims_.width, y2 = dims_.height;
    if (frame_) {
      x1 = static_cast<int32_t>(std::floor(row.box[0])), y1 = static_cast<int32_t>(std::floor(row.box[1]));
      x2 = std::min(static_cast<int32_t>(std::ceil(row.box[2])), item.frame_width);
      y2 = std::min(static_cast<int32_t>(std::ceil(row.box[3])), item.frame_height);
    } else if (map.axis_aligned()) {
      trim(map, item, x1, y1, x2, y2);
    }
    if (x1 >= x2 || y1 >= y2) return {};
    row.item = item.item, row.class_id = row.parent = -1, row.score = 1;
    row.width = x2 - x1, row.height = y2 - y1, row.channels = dims_.channels;
    row.first_value = sink.value_count;
    float* matrix = sink.values + sink.value_count;
    const Mapping shift = Mapping::scale_shift(1, 1, x1, y1), placed = frame_ ? shift : Mapping::compose(map, shift);
    for (int i = 0; i < 9; ++i) {
      matrix[i] = static_cast<float>(placed.m[i] / (placed.m[8] != 0 ? placed.m[8] : 1));
      if (!std::isfinite(matrix[i])) return {};
    }
    const int64_t area = int64_t{row.width} * row.height, numbers = area * dims_.channels;
    float* out = picture_ ? call.at<float>(plane_) : matrix + 9;
    for (int32_t c = 0; c < dims_.channels; ++c) {
      const float* plane = data + int64_t{c} * dims_.height * dims_.width;
      if (frame_)
        enlarge(call, back, plane, x1, y1, row.width, row.height, out + c * area);
      else
        for (int32_t y = 0; y < row.height; ++y)
          std::memcpy(out + c * area + int64_t{y} * row.width, plane + int64_t{y1 + y} * dims_.width + x1,
                      static_cast<size_t>(row.width) * sizeof(float));
    }
    row.value_count = 9 + (picture_ ? 0 : static_cast<int32_t>(numbers));
    sink.value_count += row.value_count;
    if (picture_) {
      row.first_pixel = sink.pixel_count;
      uint8_t* pixels = sink.pixels + sink.pixel_count;
      for (int64_t i = 0; i < area; ++i)
        for (int32_t c = 0; c < dims_.channels; ++c)
          *pixels++ = static_cast<uint8_t>(std::min(std::max(out[c * area + i], 0.0f), 255.0f) + 0.5f);
      sink.pixel_count += static_cast<int32_t>(numbers);
    }
    sink.rows[sink.row_count++] = row;
    ++sink.found;
    return {};
  }

  // Columns and rows of the map whose middles lie in the frame: without a letterbox's bars.
  void trim(const Mapping& map, const mnnlite_item& item, int32_t& x1, int32_t& y1, int32_t& x2,
            int32_t& y2) const noexcept {
    const auto inside = [&](int32_t x, int32_t y, bool across) {
      double u, v;
      map.apply(x + 0.5, y + 0.5, u, v);
      return across ? u >= 0 && u < item.frame_width : v >= 0 && v < item.frame_height;
    };
    while (x1 < x2 && !inside(x1, 0, true)) ++x1;
    while (x2 > x1 && !inside(x2 - 1, 0, true)) --x2;
    while (y1 < y2 && !inside(0, y1, false)) ++y1;
    while (y2 > y1 && !inside(0, y2 - 1, false)) --y2;
  }

  // Bilinear, between the middles of pixels; beyond the outer ones the edge goes on.
  void enlarge(const Call& call, const Mapping& back, const float* plane, int32_t left, int32_t top, int32_t width,
               int32_t height, float* out) const noexcept {
    double u, v;
    if (back.axis_aligned()) {
      const DecodeKernels& kernels = decode_kernels();
      int32_t* const columns = call.at<int32_t>(columns_);
      float* const weights = call.at<float>(weights_);
      for (int32_t x = 0; x < width; ++x) {
        back.apply(left + x + 0.5, 0.5, u, v);
        const Sample column = sample(u, dims_.width);
        columns[x] = column.first, weights[x] = column.weight;
      }
      // A row of the map is stretched once, for all rows of the frame beside it: two are held, by their number's last bit
      // (a row and the next one never share it).
      float* const held = call.at<float>(lines_);
      int32_t in_line[2] = {-1, -1};
      const auto stretched = [&](int32_t row) noexcept {
        float* line = held + (row & 1) * int64_t{width};
        if (in_line[row & 1] != row)
          kernels.mix_columns(plane + int64_t{row} * dims_.width, dims_.width, columns, weights, width, line);
        in_line[row & 1] = row;
        return static_cast<const float*>(line);
      };
      for (int32_t y = 0; y < height; ++y) {
        back.apply(0.5, top + y + 0.5, u, v);
        const Sample across = sample(v, dims_.height);
        const float *above = stretched(across.first), *below = stretched(across.next);
        kernels.mix_rows(above, below, across.weight, width, out);
        out += width;
      }
      return;
    }
    for (int32_t y = 0; y < height; ++y)
      for (int32_t x = 0; x < width; ++x) {
        back.apply(left + x + 0.5, top + y + 0.5, u, v);
        const Sample column = sample(u, dims_.width), across = sample(v, dims_.height);
        const float *above = plane + int64_t{across.first} * dims_.width,
                    *below = plane + int64_t{across.next} * dims_.width;
        *out++ = between(between(above[column.first], above[column.next], column.weight),
                         between(below[column.first], below[column.next], column.weight), across.weight);
      }
  }

  bool sigmoid_, frame_, picture_;
  int layout_;
  float scale_, offset_;
  ImageDims dims_;
  Reader reader_;
  size_t columns_ = 0, weights_ = 0, lines_ = 0, plane_ = 0, scaled_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_maps(Options& options) { return std::make_unique<Maps>(options); }

}  // namespace mnnlite
