// Lane and edge lines as polylines, from masks. Definition: mnnlite/reference/decode/lanes.py
#include "decode/maps/lanes.hpp"

#include <algorithm>
#include <cmath>

#include "decode/families.hpp"
#include "decode/maps/class_map.hpp"
#include "decode/maps/lane_tracer.hpp"

namespace mnnlite {
namespace {

class MaskLanes final : public BuiltIn {
 public:
  MaskLanes(Options& options, const LineOptions& lines) : BuiltIn("lanes", 1, 1), lines_(lines) {
    mapper_.read(options);
    background_ = options.integer("background", 0, -1, 254);
    tracing_.max_gap = options.number("max_gap", tracing_.max_gap, 0, 10);
    tracing_.min_length = options.number("min_length", tracing_.min_length, 0, 10);
    tracing_.min_pixels = options.integer("min_pixels", tracing_.min_pixels, 1, 1 << 24);
  }

 private:
  struct Line {
    int32_t head, pixels;
    double length;
    float score;
  };

  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(mapper_.plan(name(), desc[0], needs));
    map_ = needs.scratch<uint8_t>(int64_t{mapper_.width()} * mapper_.height());
    tracer_.plan(needs, mapper_.width(), mapper_.height());
    heads_ = needs.scratch<Line>(256);
    writer_.plan(needs, lines_, tracer_.point_capacity());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& tensor = call.tensors[0];
    const mnnlite_item& item = call.items[slot];
    uint8_t* map = call.at<uint8_t>(map_);
    Mapping to_frame;
    MNNLITE_TRY(mapper_.run(name(), call, tensor, slot, map, to_frame));
    bool truncated;
    const int32_t count = tracer_.trace(call, map, background_, tracing_, truncated);
    const LaneChain* chains = tracer_.chains(call);
    const Point* points = tracer_.points(call);

    Line* lines = call.at<Line>(heads_);
    int32_t n = 0;
    for (int32_t c = 0; c < count; ++c) {
      if (chains[c].previous >= 0 || chains[c].point_count == 0) continue;
      Line line{c, 0, 0, 0};
      double probability = 0;
      const Point* last = nullptr;
      for (int32_t k = c; k >= 0; k = chains[k].next) {
        line.pixels += chains[k].pixels;
        tracer_.each_run(call, chains[k], [&](int64_t first, int32_t pixels) {
          probability += mapper_.sum_probability(call, tensor, slot, first, pixels, chains[k].class_id);
        });
        for (int32_t p = 0; p < chains[k].point_count; ++p) {
          const Point* point = points + chains[k].first_point + p;
          if (last) line.length += std::hypot(point->x - last->x, point->y - last->y);
          last = point;
        }
      }
      line.score = static_cast<float>(probability / line.pixels);
      if (line.length >= tracing_.min_length * mapper_.height() && line.score >= lines_.score) lines[n++] = line;
    }
    call.sink.found += n;
    if (truncated || n > lines_.max_lines) call.sink.truncated = 1;
    const int32_t kept = std::min(n, lines_.max_lines);
    std::partial_sort(lines, lines + kept, lines + n, [](const Line& a, const Line& b) {
      return a.length != b.length ? a.length > b.length : a.head < b.head;
    });
    for (int32_t i = 0; i < kept; ++i) {
      writer_.begin();
      for (int32_t k = lines[i].head; k >= 0; k = chains[k].next)
        for (int32_t p = 0; p < chains[k].point_count; ++p)
          writer_.add(call, to_frame, points[chains[k].first_point + p]);
      writer_.end(call, item, lines_, chains[lines[i].head].class_id, lines[i].score);
    }
    return {};
  }

  LineOptions lines_;
  LaneOptions tracing_;
  int32_t background_;
  ClassMapper mapper_;
  LaneTracer tracer_;
  mutable LineWriter writer_;
  size_t map_ = 0, heads_ = 0;
};

}  // namespace

void LineOptions::read(Options& options) noexcept {
  score = options.probability("score", score);
  tolerance = options.number("tolerance", tolerance, 0, 1e6);
  degree = options.integer("degree", degree, 0, 3);
  max_lines = options.integer("max_lines", max_lines, 1, 256);
}

void LineWriter::plan(Needs& needs, const LineOptions& options, int32_t capacity) noexcept {
  capacity_ = capacity;
  points_ = needs.scratch<Point>(capacity);
  stack_ = needs.scratch<int32_t>(2 * int64_t{capacity} + 4);
  keep_ = needs.scratch<uint8_t>(capacity);
  needs.kind(MNNLITE_POLYLINES);
  needs.rows(int64_t{options.max_lines} * needs.max_items());
  needs.values(2 * int64_t{capacity} * needs.max_items());
}

void LineWriter::add(const Call& call, const Mapping& to_frame, const Point& point) noexcept {
  if (count_ == capacity_) return;
  Point& out = call.at<Point>(points_)[count_];
  to_frame.apply(point.x, point.y, out.x, out.y);
  if (std::fabs(out.x) < 1e7 && std::fabs(out.y) < 1e7) ++count_;  // beyond a projective horizon there is no frame
}

void LineWriter::end(const Call& call, const mnnlite_item& item, const LineOptions& options, int32_t class_id,
                     float score) noexcept {
  Point* points = call.at<Point>(points_);
  if (options.degree > 0) fit_polynomial(points, count_, options.degree);
  count_ = simplify_line(points, count_, options.tolerance, call.at<int32_t>(stack_), call.at<uint8_t>(keep_));
  mnnlite_sink& sink = call.sink;
  if (count_ < 2 || 2 * count_ > sink.value_capacity - sink.value_count) return;
  mnnlite_row row{};
  row.item = item.item;
  row.class_id = class_id;
  row.score = score;
  row.parent = -1;
  row.first_value = sink.value_count;
  row.value_count = 2 * count_;
  write_points(points, count_, sink.values + sink.value_count, row.box);
  sink.value_count += row.value_count;
  sink.rows[sink.row_count++] = row;
}

std::unique_ptr<Decoder> make_lanes(Options& options) {
  static constexpr const char* kHeads[] = {"mask", "rows", "anchors", nullptr};
  LineOptions lines;
  lines.read(options);
  switch (options.choice("head", kHeads, 0)) {
    case 1: return make_row_lanes(options, lines);
    case 2: return make_anchor_lanes(options, lines);
    default: return std::make_unique<MaskLanes>(options, lines);
  }
}

}  // namespace mnnlite
