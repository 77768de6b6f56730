// Text areas by differentiable binarization: a probability map, thresholded; the smallest rectangle around each area,
// its mean probability, and the rectangle grown back by what the training shrank.
// Definition: mnnlite/reference/decode/dbtext.py. Source: Liao et al. 2020 (DB), section 3.5: offset D' = A' r' / L'.
#include <algorithm>
#include <cmath>

#include "decode/common/frame_box.hpp"
#include "decode/common/geometry.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"
#include "decode/maps/class_map.hpp"
#include "decode/maps/contour.hpp"

namespace mnnlite {
namespace {

constexpr int32_t kMostRings = 16384, kMostCorners = 32768;

class DbText final : public BuiltIn {
 public:
  explicit DbText(Options& options) : BuiltIn("dbtext", 1, 1) {
    threshold_ = options.probability("threshold", 0.3f);
    score_ = options.probability("score", 0.6f);
    unclip_ = options.number("unclip", 1.5, 0, 10);
    min_size_ = options.number("min_size", 3, 0, 1e6);
    max_candidates_ = options.integer("max_candidates", 1000, 1, kMostRings);
    sigmoid_ = options.flag("sigmoid", false);
    cut_ = sigmoid_ ? logit_of(threshold_) : threshold_;
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    if (!image_dims(desc[0], dims_) || dims_.channels < 1)
      return Status::error(Code::decoder, "dbtext: output \"%s\" is %s, a map [N, 1, rows, columns] is wanted",
                           desc[0].name, describe(desc[0], text));
    MNNLITE_TRY(reader_.plan(name(), desc[0], Order::chw, needs));
    const int64_t area = int64_t{dims_.height} * dims_.width;
    map_ = needs.scratch<uint8_t>(area);
    contours_.plan(needs, dims_.width, dims_.height, kMostRings);
    capacity_ = static_cast<int32_t>(std::min<int64_t>(4 * area + 4, kMostCorners));
    chosen_ = needs.scratch<int32_t>(kMostRings);
    corners_ = needs.scratch<int32_t>(2 * int64_t{capacity_});
    points_ = needs.scratch<Point>(capacity_);
    hull_ = needs.scratch<Point>(int64_t{capacity_} + 1);
    needs.kind(MNNLITE_POLYGONS);
    needs.rows(int64_t{max_candidates_} * needs.max_items());
    needs.values(int64_t{8} * max_candidates_ * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const float* probability = reader_.read(call, call.tensors[0], slot);
    const int64_t area = int64_t{dims_.height} * dims_.width;
    MNNLITE_TRY(check_finite(call.tensors[0], slot, probability, area));
    uint8_t* map = call.at<uint8_t>(map_);
    for (int64_t i = 0; i < area; ++i) map[i] = probability[i] > cut_ ? 1 : 0;
    int32_t count;
    bool truncated;
    const Ring* rings = contours_.find(call, map, dims_.width, dims_.height, 0, count, truncated);
    int32_t* chosen = call.at<int32_t>(chosen_);
    int32_t outer = 0;
    for (int32_t i = 0; i < count; ++i)
      if (rings[i].pixels > 0) chosen[outer++] = i;
    if (outer > max_candidates_) {
      truncated = true;
      std::nth_element(chosen, chosen + max_candidates_, chosen + outer, [rings](int32_t a, int32_t b) {
        return rings[a].pixels != rings[b].pixels ? rings[a].pixels > rings[b].pixels : a < b;
      });
      std::sort(chosen, chosen + max_candidates_);
      outer = max_candidates_;
    }
    if (truncated) call.sink.truncated = 1;
    const Mapping to_frame = map_to_frame(call.items[slot], dims_.width, dims_.height);
    for (int32_t i = 0; i < outer; ++i) MNNLITE_TRY(add(call, slot, rings[chosen[i]], probability, to_frame));
    return {};
  }

  Status add(const Call& call, int slot, const Ring& ring, const float* probability,
             const Mapping& to_frame) const noexcept {
    int32_t* corners = call.at<int32_t>(corners_);
    Point *points = call.at<Point>(points_), *hull = call.at<Point>(hull_);
    const int32_t n = std::min(contours_.corners(call, ring, dims_.width, corners, capacity_), capacity_);
    for (int32_t i = 0; i < n; ++i)
      points[i] = {static_cast<double>(corners[2 * i]), static_cast<double>(corners[2 * i + 1])};
    const Rectangle rectangle = smallest_rectangle(hull, convex_hull(points, n, hull));
    if (!(std::min(rectangle.width, rectangle.height) >= min_size_)) return {};
    Point quad[4];
    rectangle.corners(0, quad);
    const float score = mean_inside(probability, quad);
    if (!(score >= score_)) return {};
    if (score > kMostProbability) return not_probability(call.tensors[0], score, "sigmoid=true");
    const double grow = rectangle.width * rectangle.height * unclip_ / (2 * (rectangle.width + rectangle.height));
    rectangle.corners(grow, quad);

    const mnnlite_item& item = call.items[slot];
    mnnlite_sink& sink = call.sink;
    float* values = sink.values + sink.value_count;
    double twice = 0, x1 = 1e300, y1 = 1e300, x2 = -1e300, y2 = -1e300;
    double x[4], y[4];
    for (int k = 0; k < 4; ++k) {
      to_frame.apply(quad[k].x, quad[k].y, x[k], y[k]);
      x[k] = std::min(std::max(x[k], 0.0), static_cast<double>(item.frame_width));
      y[k] = std::min(std::max(y[k], 0.0), static_cast<double>(item.frame_height));
      values[2 * k] = static_cast<float>(x[k]);
      values[2 * k + 1] = static_cast<float>(y[k]);
      x1 = std::min(x1, x[k]), y1 = std::min(y1, y[k]), x2 = std::max(x2, x[k]), y2 = std::max(y2, y[k]);
    }
    for (int k = 0; k < 4; ++k) twice += x[k] * y[(k + 1) % 4] - x[(k + 1) % 4] * y[k];
    if (!std::isfinite(twice) || twice == 0) return {};
    mnnlite_row row{};
    row.item = item.item;
    row.class_id = row.parent = -1;
    row.score = score;
    row.area = static_cast<float>(std::fabs(twice) / 2);
    row.box[0] = static_cast<float>(x1), row.box[1] = static_cast<float>(y1);
    row.box[2] = static_cast<float>(x2), row.box[3] = static_cast<float>(y2);
    row.first_value = sink.value_count;
    row.value_count = 8;
    sink.value_count += 8;
    sink.rows[sink.row_count++] = row;
    ++sink.found;
    return {};
  }

  // Mean over the pixels whose centre lies inside a convex quadrilateral.
  float mean_inside(const float* probability, const Point* quad) const noexcept {
    double top = quad[0].y, bottom = quad[0].y;
    for (int k = 1; k < 4; ++k) top = std::min(top, quad[k].y), bottom = std::max(bottom, quad[k].y);
    double sum = 0;
    int64_t count = 0;
    const int32_t first = std::max(0, static_cast<int32_t>(std::floor(top))),
                  last = std::min(dims_.height, static_cast<int32_t>(std::ceil(bottom)));
    for (int32_t row = first; row < last; ++row) {
      const double y = row + 0.5;
      double left = 1e300, right = -1e300;
      for (int k = 0; k < 4; ++k) {
        const Point &a = quad[k], &b = quad[(k + 1) % 4];
        if ((a.y <= y) == (b.y <= y)) continue;
        const double x = a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x);
        left = std::min(left, x), right = std::max(right, x);
      }
      if (!(left < right)) continue;
      const int32_t from = std::max(0, static_cast<int32_t>(std::ceil(left - 0.5))),
                    to = std::min(dims_.width, static_cast<int32_t>(std::ceil(right - 0.5)));
      for (int32_t x = from; x < to; ++x) {
        const float value = probability[int64_t{row} * dims_.width + x];
        sum += sigmoid_ ? sigmoid_f32(value) : value;
        ++count;
      }
    }
    return count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : 0;
  }

  float threshold_, score_, cut_;
  double unclip_, min_size_;
  int32_t max_candidates_;
  bool sigmoid_;
  ImageDims dims_;
  Reader reader_;
  ContourFinder contours_;
  int32_t capacity_ = 0;
  size_t map_ = 0, chosen_ = 0, corners_ = 0, points_ = 0, hull_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_dbtext(Options& options) { return std::make_unique<DbText>(options); }

}  // namespace mnnlite
