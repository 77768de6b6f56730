// Segmentation: a class map per slot and one row per class that is in it.
// Definition: mnnlite/reference/decode/segmentation.py
#include <algorithm>

#include "decode/common/frame_box.hpp"
#include "decode/families.hpp"
#include "decode/maps/class_map.hpp"
#include "decode/maps/segmentation.hpp"
#include "decode/maps/upsample_bilinear.hpp"

namespace mnnlite {
namespace {

constexpr const char* kSizes[] = {"network", "frame", nullptr};
constexpr const char* kResizes[] = {"nearest", "linear", nullptr};

class Segmentation final : public BuiltIn {
 public:
  Segmentation(Options& options, const SegmentationOptions& common) : BuiltIn("segmentation", 1, 1), common_(common) {
    mapper_.read(options);
    mapper_.read_upsampling(options);
    over_frame_ = options.choice("size", kSizes, 0) == 1;
    linear_ = options.choice("resize", kResizes, 0) == 1;
    if (linear_ && !over_frame_)
      options.fail(Status::error(
          Code::argument, "segmentation: resize \"linear\" makes maps as large as the frame; it needs size \"frame\""));
    if (linear_ && mapper_.upsampled())
      options.fail(
          Status::error(Code::argument,
                        "segmentation: \"upsample\" and resize \"linear\" both interpolate scores; give one of them"));
  }

 private:
  static constexpr int32_t kValues = 9;  // the matrix of a row

  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(mapper_.plan(name(), desc[0], needs));
    const int64_t area = int64_t{mapper_.width()} * mapper_.height();
    skip_ = common_.skipped(mapper_);
    extents_ = needs.scratch<ClassExtent>(256);
    means_ = needs.scratch<double>(256);
    int64_t pixels = area;
    if (over_frame_) {
      needs.depends_on_frame();
      pixels = int64_t{needs.frame_width()} * needs.frame_height();
      map_ = needs.scratch<uint8_t>(area);
      columns_ = needs.scratch<int32_t>(needs.frame_width());
    }
    if (linear_) {
      if (!mapper_.has_scores())
        return Status::error(Code::decoder,
                             "segmentation: output \"%s\" holds classes, and there is nothing between two classes; "
                             "resize \"linear\" wants scores",
                             desc[0].name);
      spread_.plan(mapper_.channels(), mapper_.width(), mapper_.height(), needs);
    }
    const int64_t rows = int64_t{mapper_.classes()} * needs.max_items();
    needs.kind(MNNLITE_MASKS);
    needs.rows(rows);
    needs.values(int64_t{kValues} * needs.max_items());
    needs.pixels(pixels * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[0];
    const mnnlite_item& item = call.items[slot];
    mnnlite_sink& sink = call.sink;
    const int32_t width = mapper_.width(), height = mapper_.height();
    uint8_t* pixels = sink.pixels + sink.pixel_count;
    uint8_t* map = over_frame_ ? call.at<uint8_t>(map_) : pixels;
    Mapping to_frame;
    MNNLITE_TRY(mapper_.run(name(), call, tensor, slot, map, to_frame));
    // Mean scores are of the network's own pixels, also when the map is spread over the frame.
    double* means = call.at<double>(means_);
    ClassExtent* extents = call.at<ClassExtent>(extents_);
    mapper_.measure(call, tensor, slot, map, extents, means, skip_);
    int32_t out_width = width, out_height = height;
    if (over_frame_) {
      Mapping back;
      if (!to_frame.inverse(back))
        return Status::error(Code::decoder, "%s: the mapping of item %d cannot be inverted", name(), slot);
      if (!linear_) {
        spread_over_frame(back, item, width, height, map, call.at<int32_t>(columns_), pixels);
      } else if (!spread_.run(call, mapper_.scores(call, tensor, slot), mapper_.cut(), back, item, pixels)) {
        return Status::error(Code::decoder, "%s: scores of output \"%s\" are too far apart to interpolate", name(),
                             tensor.name);
      }
      out_width = item.frame_width;
      out_height = item.frame_height;
      to_frame = Mapping{};
      measure_classes(pixels, out_width, out_height, extents);
    }
    write_rows(call, item, to_frame, extents, means, out_width, out_height);
    return {};
  }

  void write_rows(const Call& call, const mnnlite_item& item, const Mapping& to_frame, const ClassExtent* extents,
                  const double* means, int32_t width, int32_t height) const noexcept {
    mnnlite_sink& sink = call.sink;
    const double unit = pixel_area(to_frame, width, height);
    const int32_t first_value = sink.value_count;
    for (int i = 0; i < kValues; ++i) sink.values[first_value + i] = static_cast<float>(to_frame.m[i]);
    bool any = false;
    for (int32_t c = 0; c < mapper_.classes(); ++c) {
      const ClassExtent& extent = extents[c];
      const double area = static_cast<double>(extent.count) * unit;
      if (c == skip_ || extent.count == 0 || area < common_.min_area || !(area < 1e30)) continue;
      const float box[4] = {static_cast<float>(extent.x1), static_cast<float>(extent.y1), static_cast<float>(extent.x2),
                            static_cast<float>(extent.y2)};
      mnnlite_row row{};
      if (!box_in_frame(to_frame, item, box, true, row.box)) continue;
      any = true;
      row.item = item.item;
      row.class_id = c;
      row.score = mapper_.scored() ? static_cast<float>(means[c]) : 1.0f;
      row.area = static_cast<float>(area);
      row.parent = -1;
      row.first_value = first_value;
      row.value_count = kValues;
      row.first_pixel = sink.pixel_count;
      row.width = width;
      row.height = height;
      sink.rows[sink.row_count++] = row;
      ++sink.found;
    }
    if (!any) return;  // a map that no row shows takes no room
    sink.value_count += kValues;
    sink.pixel_count += width * height;
  }

  SegmentationOptions common_;
  ClassMapper mapper_;
  BilinearUpsampler spread_;
  bool over_frame_ = false, linear_ = false;
  int32_t skip_ = -1;
  size_t extents_ = 0, means_ = 0, map_ = 0, columns_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_segmentation(Options& options) {
  static constexpr const char* kOutputs[] = {"masks", "polygons", nullptr};
  SegmentationOptions common;
  common.read(options);
  if (options.choice("output", kOutputs, 0) == 1) return make_segmentation_polygons(options, common);
  return std::make_unique<Segmentation>(options, common);
}

}  // namespace mnnlite
