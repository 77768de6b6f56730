// Segmentation as vectors: the outlines of each area, simplified to a stated error in pixels of the frame.
// Definition: mnnlite/reference/decode/segmentation.py polygons
#include <algorithm>
#include <cmath>

#include "decode/common/frame_box.hpp"
#include "decode/common/geometry.hpp"
#include "decode/maps/class_map.hpp"
#include "decode/maps/contour.hpp"
#include "decode/maps/segmentation.hpp"

namespace mnnlite {
namespace {

constexpr int32_t kMostRings = 16384, kMostCorners = 32768;

class SegmentationPolygons final : public BuiltIn {
 public:
  SegmentationPolygons(Options& options, const SegmentationOptions& common)
      : BuiltIn("segmentation", 1, 1), common_(common) {
    mapper_.read(options);
    mapper_.read_upsampling(options);
    tolerance_ = options.number("tolerance", 1, 0, 1e6);
    max_polygons_ = options.integer("max_polygons", 256, 1, kMostRings);
    max_points_ = options.integer("max_points", 16384, 4, 1 << 24);
    holes_ = options.flag("holes", true);
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(mapper_.plan(name(), desc[0], needs));
    const int64_t area = int64_t{mapper_.width()} * mapper_.height();
    skip_ = common_.skipped(mapper_);
    map_ = needs.scratch<uint8_t>(area);
    means_ = needs.scratch<double>(256);
    extents_ = needs.scratch<ClassExtent>(256);
    contours_.plan(needs, mapper_.width(), mapper_.height(), kMostRings);
    capacity_ = static_cast<int32_t>(std::min<int64_t>(4 * area + 4, kMostCorners));
    chosen_ = needs.scratch<int32_t>(kMostRings);
    rows_ = needs.scratch<int32_t>(kMostRings);
    corners_ = needs.scratch<int32_t>(2 * int64_t{capacity_});
    points_ = needs.scratch<Point>(capacity_);
    stack_ = needs.scratch<int32_t>(2 * int64_t{capacity_} + 4);
    keep_ = needs.scratch<uint8_t>(capacity_);
    needs.kind(MNNLITE_POLYGONS);
    needs.rows(int64_t{max_polygons_} * needs.max_items());
    needs.values(int64_t{2} * max_points_ * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[0];
    const mnnlite_item& item = call.items[slot];
    const int32_t width = mapper_.width(), height = mapper_.height();
    uint8_t* map = call.at<uint8_t>(map_);
    Mapping to_frame;
    MNNLITE_TRY(mapper_.run(name(), call, tensor, slot, map, to_frame));
    double* scores = call.at<double>(means_);
    if (mapper_.scored()) mapper_.measure(call, tensor, slot, map, call.at<ClassExtent>(extents_), scores, skip_);
    int32_t count;
    bool truncated;
    const Ring* rings = contours_.find(call, map, width, height, skip_, count, truncated);
    const double unit = pixel_area(to_frame, width, height);
    int32_t* chosen = call.at<int32_t>(chosen_);
    int32_t n = 0;
    for (int32_t i = 0; i < count; ++i) {
      const double area = static_cast<double>(std::abs(rings[i].pixels)) * unit;
      // A hole goes with the ring around it.
      const double around = rings[i].parent < 0 ? area : static_cast<double>(rings[rings[i].parent].pixels) * unit;
      if (area >= common_.min_area && around >= common_.min_area && (holes_ || rings[i].parent < 0)) chosen[n++] = i;
    }
    call.sink.found += n;
    if (n > max_polygons_) {
      truncated = true;
      std::nth_element(chosen, chosen + max_polygons_, chosen + n, [rings](int32_t a, int32_t b) {
        const int64_t left = std::abs(rings[a].pixels), right = std::abs(rings[b].pixels);
        return left != right ? left > right : a < b;
      });
      n = max_polygons_;
      std::sort(chosen, chosen + n);
    }
    int32_t* rows = call.at<int32_t>(rows_);
    std::fill(rows, rows + count, -1);
    const int32_t value_end = call.sink.value_count + 2 * max_points_;
    for (int32_t i = 0; i < n; ++i) {
      const Ring& ring = rings[chosen[i]];
      // Parents come first; a hole without its ring would be an area of its own.
      if (ring.parent >= 0 && rows[ring.parent] < 0) continue;
      const float score = mapper_.scored() ? static_cast<float>(scores[ring.class_id]) : 1.0f;
      if (!add(call, item, ring, to_frame, unit, score, value_end, rows, chosen[i])) truncated = true;
    }
    if (truncated) call.sink.truncated = 1;
    return {};
  }

  // False if there is no room for its points.
  bool add(const Call& call, const mnnlite_item& item, const Ring& ring, const Mapping& to_frame, double unit,
           float score, int32_t value_end, int32_t* rows, int32_t index) const noexcept {
    mnnlite_sink& sink = call.sink;
    int32_t* corners = call.at<int32_t>(corners_);
    Point* points = call.at<Point>(points_);
    int32_t n = contours_.corners(call, ring, mapper_.width(), corners, capacity_);
    if (n > capacity_) return false;
    for (int32_t i = 0; i < n; ++i) {
      to_frame.apply(corners[2 * i], corners[2 * i + 1], points[i].x, points[i].y);
      if (!(std::fabs(points[i].x) < 1e7 && std::fabs(points[i].y) < 1e7)) return true;  // beyond a projective horizon
    }
    n = simplify_ring(points, n, tolerance_, call.at<int32_t>(stack_), call.at<uint8_t>(keep_));
    if (2 * n > value_end - sink.value_count) return false;
    const double area = static_cast<double>(std::abs(ring.pixels)) * unit;
    if (!(area < 1e30)) return true;
    mnnlite_row row{};
    row.item = item.item;
    row.class_id = ring.class_id;
    row.score = score;
    row.area = static_cast<float>(area);
    write_points(points, n, sink.values + sink.value_count, row.box);
    row.parent = ring.parent < 0 ? -1 : rows[ring.parent];
    row.first_value = sink.value_count;
    row.value_count = 2 * n;
    rows[index] = sink.row_count;
    sink.value_count += 2 * n;
    sink.rows[sink.row_count++] = row;
    return true;
  }

  SegmentationOptions common_;
  ClassMapper mapper_;
  double tolerance_;
  int32_t max_polygons_, max_points_, skip_ = -1, capacity_ = 0;
  bool holes_;
  ContourFinder contours_;
  size_t map_ = 0, means_ = 0, extents_ = 0, chosen_ = 0, rows_ = 0, corners_ = 0, points_ = 0, stack_ = 0, keep_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_segmentation_polygons(Options& options, const SegmentationOptions& common) {
  return std::make_unique<SegmentationPolygons>(options, common);
}

}  // namespace mnnlite
