// Lanes from row and column anchors: where each lane crosses each row and each column, and whether it does.
// [N, cells, rows, lanes], [N, cells, columns, lanes], [N, 2, rows, lanes], [N, 2, columns, lanes].
// Definition: mnnlite/reference/decode/lanes.py. Source: Qin et al. 2022 (Ultra Fast Deep Lane Detection with Hybrid Anchor
// Driven Ordinal Classification), section 3; cfzd/Ultra-Fast-Lane-Detection-v2, demo.py: which lanes come from which anchors.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "decode/common/frame_box.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/maps/lanes.hpp"

namespace mnnlite {
namespace {

class AnchorLanes final : public BuiltIn {
 public:
  AnchorLanes(Options& options, const LineOptions& lines) : BuiltIn("lanes", 4, 4), lines_(lines) {
    min_points_ = options.integer("min_points", 3, 2, 1 << 20);
    crop_ratio_ = options.number("crop_ratio", 1, 0.01, 1);
    read_anchors(options, "row_anchors", rows_);
    if (rows_.given.empty())
      options.fail(Status::error(
          Code::argument,
          "lanes: head=\"anchors\" needs row_anchors, the rows as fractions of the whole picture's height "
          "(first and last will do)"));
    read_anchors(options, "column_anchors", columns_);
    if (columns_.given.empty()) columns_.given = {0, 1};
    read_lanes(options, "row_lanes", {1, 2}, rows_);
    read_lanes(options, "column_lanes", {0, 3}, columns_);
    for (const int32_t lane : rows_.lanes)
      if (std::count(columns_.lanes.begin(), columns_.lanes.end(), lane))
        options.fail(
            Status::error(Code::argument, "lanes: lane %d is in row_lanes and in column_lanes; leave it in one", lane));
  }

 private:
  // The lines that lanes are looked for on: rows, or columns.
  struct Anchors {
    std::vector<double> given;    // first and last, or each
    std::vector<double> anchors;  // each, as a fraction of the whole picture
    std::vector<int32_t> lanes;
    double min_fraction;  // of the anchors that a lane must be on more than
    int cells_at, exists_at;
    ImageDims dims;
    Reader cells, exists;
  };

  static void read_anchors(Options& options, const char* key, Anchors& side) {
    side.given = options.numbers(key);
    for (size_t i = 0; i < side.given.size(); ++i) {
      if (!(side.given[i] >= 0 && side.given[i] <= 1))
        options.fail(Status::error(Code::argument,
                                   "lanes: option \"%s\" must be fractions of the picture from 0 to 1, got %g", key,
                                   side.given[i]));
      if (i > 0 && !(side.given[i] > side.given[i - 1]))
        options.fail(Status::error(Code::argument, "lanes: option \"%s\" must grow, got %g after %g", key,
                                   side.given[i], side.given[i - 1]));
    }
  }

  static void read_lanes(Options& options, const char* key, std::vector<int32_t> fallback, Anchors& side) {
    if (!options.has(key)) side.lanes = std::move(fallback);
    for (const double lane : options.numbers(key)) {
      if (!(lane >= 0 && lane < 256 && lane == std::floor(lane))) {
        options.fail(
            Status::error(Code::argument, "lanes: option \"%s\" wants numbers of lanes from 0, got %g", key, lane));
        continue;
      }
      side.lanes.push_back(static_cast<int32_t>(lane));
    }
    std::sort(side.lanes.begin(), side.lanes.end());
    if (std::adjacent_find(side.lanes.begin(), side.lanes.end()) != side.lanes.end())
      options.fail(Status::error(Code::argument, "lanes: option \"%s\" has a lane twice", key));
  }

  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(find_outputs(desc));
    MNNLITE_TRY(prepare_side(desc, rows_, "row_anchors", needs));
    MNNLITE_TRY(prepare_side(desc, columns_, "column_anchors", needs));
    writer_.plan(needs, lines_, std::max(rows_.dims.height, columns_.dims.height));
    const int64_t points = int64_t{rows_.dims.height} * static_cast<int64_t>(rows_.lanes.size()) +
                           int64_t{columns_.dims.height} * static_cast<int64_t>(columns_.lanes.size());
    needs.values(2 * points * needs.max_items());
    return {};
  }

  // By name ("loc_row", "exist_col"); by shape, and then in the order of the paper's code, where names say nothing.
  Status find_outputs(const TensorView* desc) {
    int cells[2], exists[2], n_cells = 0, n_exists = 0;
    ImageDims dims[4];
    char text[96];
    for (int i = 0; i < 4; ++i) {
      if (desc[i].rank != 4 || !image_dims(desc[i], dims[i]) || dims[i].channels < 2) return wrong(desc[i], text);
      if (dims[i].channels == 2 ? n_exists == 2 : n_cells == 2) return wrong(desc[i], text);
      (dims[i].channels == 2 ? exists[n_exists++] : cells[n_cells++]) = i;
    }
    const auto columns_first = [&](const int (&pair)[2]) {
      return named(desc[pair[0]], "col") || named(desc[pair[1]], "row");
    };
    const auto fit = [&](int a, int b) { return dims[a].height == dims[b].height && dims[a].width == dims[b].width; };
    if (columns_first(cells)) std::swap(cells[0], cells[1]);
    if (columns_first(exists) || (!fit(cells[0], exists[0]) && fit(cells[0], exists[1])))
      std::swap(exists[0], exists[1]);
    for (int i = 0; i < 2; ++i)
      if (!fit(cells[i], exists[i])) return wrong(desc[exists[i]], text);
    rows_.cells_at = cells[0], rows_.exists_at = exists[0], columns_.cells_at = cells[1],
    columns_.exists_at = exists[1];
    rows_.dims = dims[cells[0]], columns_.dims = dims[cells[1]];
    return {};
  }

  static bool named(const TensorView& desc, const char* part) noexcept {
    return desc.name && std::strstr(desc.name, part);
  }

  static Status wrong(const TensorView& desc, char (&text)[96]) {
    return Status::error(
        Code::decoder,
        "lanes: output \"%s\" is %s, [N, cells, rows, lanes], [N, cells, columns, lanes], [N, 2, rows, lanes] and "
        "[N, 2, columns, lanes] are wanted",
        desc.name, describe(desc, text));
  }

  Status prepare_side(const TensorView* desc, Anchors& side, const char* key, Needs& needs) {
    char text[96];
    const size_t count = static_cast<size_t>(side.dims.height);
    side.anchors = side.given;
    if (side.given.size() == 2 && count > 2) {  // first and last stand for all between
      const double first = side.given[0], last = side.given[1];
      side.anchors.resize(count);
      for (size_t i = 0; i < count; ++i)
        side.anchors[i] = first + (last - first) * static_cast<double>(i) / static_cast<double>(count - 1);
    }
    if (side.anchors.size() != count)
      return Status::error(Code::decoder, "lanes: output \"%s\" is %s, so it has %zu anchors; option \"%s\" has %zu",
                           desc[side.cells_at].name, describe(desc[side.cells_at], text), count, key,
                           side.anchors.size());
    if (!side.lanes.empty() && side.lanes.back() >= side.dims.width)
      return Status::error(Code::decoder, "lanes: output \"%s\" is %s, so it has %d lanes; lane %d is asked for",
                           desc[side.cells_at].name, describe(desc[side.cells_at], text), side.dims.width,
                           side.lanes.back());
    MNNLITE_TRY(side.cells.plan(name(), desc[side.cells_at], Order::chw, needs));
    return side.exists.plan(name(), desc[side.exists_at], Order::chw, needs);
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    if (item.net_width < 1 || item.net_height < 1)
      return Status::error(Code::decoder,
                           "lanes needs the size of the network's input; give the decoder an image spec");
    const float* heads[2][2];
    const Anchors* sides[2] = {&rows_, &columns_};
    for (int s = 0; s < 2; ++s) {
      const TensorView &cells = call.tensors[sides[s]->cells_at], &exists = call.tensors[sides[s]->exists_at];
      heads[s][0] = sides[s]->cells.read(call, cells, slot);
      heads[s][1] = sides[s]->exists.read(call, exists, slot);
      MNNLITE_TRY(check_finite(cells, slot, heads[s][0], sides[s]->cells.per_slot()));
      MNNLITE_TRY(check_finite(exists, slot, heads[s][1], sides[s]->exists.per_slot()));
    }
    const Mapping to_frame = mapping_of(item);
    int32_t written = 0;
    size_t at[2] = {0, 0};
    while (at[0] < rows_.lanes.size() || at[1] < columns_.lanes.size()) {  // in the order of the lanes
      const int s =
          at[1] == columns_.lanes.size() || (at[0] < rows_.lanes.size() && rows_.lanes[at[0]] < columns_.lanes[at[1]])
              ? 0
              : 1;
      const int32_t lane = sides[s]->lanes[at[s]++];
      const float score = trace(call, item, to_frame, *sides[s], heads[s][0] + lane, heads[s][1] + lane);
      if (score < 0 || score < lines_.score) continue;
      ++call.sink.found;
      if (written == lines_.max_lines) {
        call.sink.truncated = 1;
        continue;
      }
      ++written;
      writer_.end(call, item, lines_, lane, score);
    }
    return {};
  }

  // Writes one lane's points from near to far; the mean probability that it is there, or -1 if there are too few.
  float trace(const Call& call, const mnnlite_item& item, const Mapping& to_frame, const Anchors& side,
              const float* cells, const float* exists) const noexcept {
    const bool by_row = &side == &rows_;
    const int32_t count = side.dims.height, step = side.dims.width;
    const float* no = exists;
    const float* yes = exists + int64_t{count} * step;
    const auto there = [&](int32_t anchor) { return yes[int64_t{anchor} * step] > no[int64_t{anchor} * step]; };
    int32_t points = 0, first = -1, last = -1;
    double total = 0;
    for (int32_t i = 0; i < count; ++i) {
      if (!there(i)) continue;
      total += sigmoid_f32(yes[int64_t{i} * step] - no[int64_t{i} * step]);
      if (points++ == 0) first = i;
      last = i;
    }
    if (points < min_points_ || !(points > count * side.min_fraction)) return -1;
    const auto point = [&](int32_t anchor) {
      const double along = side.anchors[static_cast<size_t>(anchor)],
                   across = locate(side, cells + int64_t{anchor} * step);
      const double x = by_row ? across : along, y = by_row ? along : across;
      return Point{x * item.net_width, (y - 1 + crop_ratio_) / crop_ratio_ * item.net_height};
    };
    const bool backwards = point(last).y > point(first).y;  // the nearest point is the lowest
    writer_.begin();
    for (int32_t i = 0; i < count; ++i) {
      const int32_t anchor = backwards ? count - 1 - i : i;
      if (there(anchor)) writer_.add(call, to_frame, point(anchor));
    }
    return static_cast<float>(total / points);
  }

  // Where a lane crosses an anchor, as a fraction of the whole picture: the mean of the cells beside the best one and itself.
  double locate(const Anchors& side, const float* logits) const noexcept {
    const int64_t step = int64_t{side.dims.height} * side.dims.width;
    const int32_t cells = side.dims.channels;
    int32_t best = 0;
    for (int32_t c = 1; c < cells; ++c)
      if (logits[c * step] > logits[best * step]) best = c;
    double sum = 0, weighted = 0;
    for (int32_t c = std::max(best - 1, 0); c <= std::min(best + 1, cells - 1); ++c) {
      const double power = exp_f32(logits[c * step] - logits[best * step]);
      sum += power;
      weighted += power * c;
    }
    return (weighted / sum + 0.5) / (cells - 1);
  }

  LineOptions lines_;
  double crop_ratio_;
  int32_t min_points_;
  Anchors rows_{{}, {}, {}, 0.5, 0, 0, {}, {}, {}}, columns_{{}, {}, {}, 0.25, 0, 0, {}, {}, {}};
  mutable LineWriter writer_;
};

}  // namespace

std::unique_ptr<Decoder> make_anchor_lanes(Options& options, const LineOptions& lines) {
  return std::make_unique<AnchorLanes>(options, lines);
}

}  // namespace mnnlite
