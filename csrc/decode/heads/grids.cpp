// Definition: mnnlite/reference/decode/grids.py
#include "decode/heads/grids.hpp"

#include <algorithm>
#include <cmath>

#include "decode/common/channel_argmax.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/heads/instance_masks.hpp"

namespace mnnlite {
namespace {

constexpr int kMostStrides = 8, kMostBins = 64;
enum Part {
  kScore,
  kObjectness,
  kBox,
  kPoints,
  kWeights,
  kSum,
  kParts
};  // kSum: of a cell's scores, which is not needed

class Grids final : public Detector {
 public:
  Grids(const GridRules& rules, const DetectionOptions& options)
      : Detector(rules.family, rules.joined ? 1 : 2, kMostStrides * kParts), rules_(rules) {
    options_ = options;
    cut_ = rules_.sigmoid ? logit_of(options_.score) : options_.score;
  }

 private:
  // Where the numbers of one part of one stride lie: those of anchor i begin at i / per_cell * cell + i % per_cell * anchor.
  struct Lie {
    int tensor = -1;
    int32_t numbers = 0;  // an anchor
    int64_t anchor = 0, cell = 0, number = 1;
    int64_t first = 0;
  };
  struct Grid {
    int32_t anchors = 0;            // in all
    int32_t rows = 0, columns = 0;  // 0: by the size of the network's input
    int32_t first = 0;              // index of its first candidate
    Lie part[kParts];
  };

  int32_t box_numbers() const noexcept { return rules_.box == GridRules::distributions ? 4 * rules_.bins : 4; }

  // How an output lies, and how many anchors it has. Rank 4: planes or pixels; else rows, with or without a batch.
  Status lie_of(const TensorView& tensor, int index, int max_items, Lie& lie, Grid& shape) noexcept {
    char text[96];
    ImageDims dims;
    lie.tensor = index;
    if (tensor.rank == 4 && image_dims(tensor, dims)) {
      if (dims.channels % rules_.per_cell != 0 || int64_t{dims.height} * dims.width * rules_.per_cell > INT32_MAX)
        return Status::error(Code::decoder, "%s: output \"%s\" is %s, %d anchors a cell do not divide its channels",
                             name(), tensor.name, describe(tensor, text), static_cast<int>(rules_.per_cell));
      lie.numbers = dims.channels / rules_.per_cell;
      const bool side_by_side = layout_of(tensor) == Layout::nhwc;
      lie.cell = side_by_side ? dims.channels : 1;
      lie.number = side_by_side ? 1 : int64_t{dims.height} * dims.width;
      lie.anchor = lie.numbers * lie.number;
      shape.rows = dims.height, shape.columns = dims.width;
      shape.anchors = dims.height * dims.width * rules_.per_cell;
      return {};
    }
    const int32_t last = tensor.rank - 1;
    if (tensor.rank < 2 || tensor.rank > 3 || pack_of(layout_of(tensor)) > 1 || (tensor.rank == 2 && max_items > 1))
      return Status::error(
          Code::decoder,
          "%s: output \"%s\" is %s; [N, numbers, rows, columns], [N, anchors, numbers] or, of one item, "
          "[anchors, numbers] is wanted",
          name(), tensor.name, describe(tensor, text));
    lie.numbers = tensor.dims[last];
    lie.anchor = lie.numbers, lie.cell = int64_t{lie.numbers} * rules_.per_cell;
    shape.anchors = tensor.dims[last - 1];
    return {};
  }

  Status ask_for_reader(const TensorView& tensor, int index, Needs& needs) noexcept {
    TensorView view = tensor;
    if (view.rank == 2) view.rank = 3, view.dims[2] = view.dims[1], view.dims[1] = view.dims[0], view.dims[0] = 1;
    const bool rows = view.rank == 3;
    return readers_[index].plan(name(), view,
                                rows                              ? Order::flat
                                : layout_of(view) == Layout::nhwc ? Order::hwc
                                                                  : Order::chw,
                                needs);
  }

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    const auto strides = static_cast<int>(rules_.strides.size());
    char text[96];
    joined_ = n == 1 || (rules_.joined && rules_.points > 0 && n == 2);
    n_ = strides;
    points_.count = rules_.points;
    points_.values = rules_.point_values;
    Lie lies[kMostStrides * kParts];
    Grid shapes[kMostStrides * kParts];
    prototypes_ = -1;
    for (int i = 0; i < n; ++i) {
      MNNLITE_TRY(lie_of(desc[i], i, needs.max_items(), lies[i], shapes[i]));
      if (rules_.masks && desc[i].rank == 4 && (prototypes_ < 0 || shapes[i].anchors > shapes[prototypes_].anchors))
        prototypes_ = i;
    }
    if (rules_.masks && (prototypes_ < 0 || joined_))
      return Status::error(Code::decoder,
                           "%s: masks need prototypes [N, numbers, rows, columns] and outputs of each stride", name());
    for (int i = 0; i < n; ++i)
      if (i != prototypes_) MNNLITE_TRY(ask_for_reader(desc[i], i, needs));
    if (rules_.masks) {
      MNNLITE_TRY(masks_.plan(name(), desc[prototypes_], rules_.mask_room, options_.max_detections, needs));
      shapes[prototypes_].anchors = INT32_MAX;  // of no stride
    }
    if (joined_) {
      // One row an anchor, all strides one after another: distributions, then classes; points beside them.
      const int beside = n == 2 && lies[0].numbers == points_.total() ? 0 : n - 1, i = n == 2 ? 1 - beside : 0;
      classes_ = lies[i].numbers - box_numbers();
      const bool paired = n == 1 ? rules_.points == 0
                                 : lies[beside].numbers == points_.total() && desc[beside].rank != 4 &&
                                       shapes[beside].anchors == shapes[i].anchors;
      if (desc[i].rank == 4 || classes_ < 1 || rules_.per_cell != 1 || !paired)
        return Status::error(
            Code::decoder, "%s: output \"%s\" is %s, [N, anchors, %d + classes]%s is wanted, or outputs of each stride",
            name(), desc[i].name, describe(desc[i], text), static_cast<int>(box_numbers()),
            rules_.points > 0 ? " and as many rows of points" : "");
      total_ = shapes[i].anchors;
      for (int s = 0; s < n_; ++s) {
        grids_[s] = Grid{};
        grids_[s].part[kBox] = grids_[s].part[kScore] = lies[i];
        if (n == 2) grids_[s].part[kPoints] = lies[beside];
        grids_[s].part[kBox].numbers = box_numbers();
        grids_[s].part[kScore].numbers = classes_;
        grids_[s].part[kScore].first = box_numbers();
      }
    } else {
      MNNLITE_TRY(assign(desc, n, lies, shapes));
    }
    needs.classes(classes_);
    best_ = needs.scratch<float>(kBlock);
    index_ = needs.scratch<int32_t>(kBlock);
    hits_ = needs.scratch<int32_t>(kBlock);
    ask_for_detections(needs, total_);
    if (rules_.masks) needs.kind(MNNLITE_INSTANCES);
    return {};
  }

  // Outputs with more anchors are of finer strides; within a stride the numbers of an anchor say which part it is, and
  // where they do not the order: scores, objectness, boxes, points.
  Status assign(const TensorView* desc, int n, const Lie* lies, const Grid* shapes) noexcept {
    char text[96];
    int64_t total = 0;
    int32_t above = INT32_MAX;
    for (int s = 0; s < n_; ++s) {
      Grid& grid = grids_[s];
      grid = Grid{};
      int32_t anchors = 0;
      for (int i = 0; i < n; ++i)
        if (shapes[i].anchors < above) anchors = std::max(anchors, shapes[i].anchors);
      if (anchors == 0)
        return Status::error(Code::decoder, "%s: the outputs are of %d sizes, the option strides has %d", name(), s,
                             n_);
      above = anchors;
      int mine[kParts], count = 0;
      for (int i = 0; i < n; ++i) {
        if (shapes[i].anchors != anchors) continue;
        if (count == kParts)
          return Status::error(Code::decoder, "%s: more than %d outputs have %d anchors", name(), kParts,
                               static_cast<int>(anchors));
        mine[count++] = i;
        if (shapes[i].rows > 0) grid.rows = shapes[i].rows, grid.columns = shapes[i].columns;
      }
      grid.anchors = anchors;
      const auto take = [&](Part part, int32_t numbers) {  // the last output of that many numbers
        for (int k = count - 1; k >= 0; --k) {
          if (lies[mine[k]].numbers != numbers) continue;
          grid.part[part] = lies[mine[k]];
          for (--count; k < count; ++k) mine[k] = mine[k + 1];
          return true;
        }
        return false;
      };
      const int32_t points = rules_.points > 0                          ? rules_.points
                             : count == 3 + (rules_.objectness ? 1 : 0) ? rules_.may_have_points
                                                                        : 0;
      bool whole = points == 0 || take(kPoints, points_.values * points);
      whole = take(kBox, box_numbers()) && whole;
      if (rules_.masks) whole = take(kWeights, masks_.coefficients()) && whole;
      if (rules_.objectness)
        whole = take(kObjectness, 1) && whole;
      else if (count == 2)
        whole = take(kSum, 1) && whole;
      if (!whole || count != 1 || (s > 0 && (points != points_.count || lies[mine[0]].numbers != classes_)))
        return Status::error(
            Code::decoder, "%s: the outputs of %d anchors (\"%s\": %s, ...) are not scores%s and boxes of %d numbers%s",
            name(), static_cast<int>(anchors), desc[mine[0]].name, describe(desc[mine[0]], text),
            rules_.objectness ? ", objectness" : "", static_cast<int>(box_numbers()), points > 0 ? ", and points" : "");
      grid.part[kScore] = lies[mine[0]];
      classes_ = lies[mine[0]].numbers;
      points_.count = points;
      grid.first = static_cast<int32_t>(total);
      total += anchors;
    }
    for (int i = 0; i < n; ++i)
      if (shapes[i].anchors < above)
        return Status::error(Code::decoder, "%s: the outputs are of more sizes than the option strides has (%d)",
                             name(), n_);
    total_ = static_cast<int32_t>(std::min<int64_t>(total, INT32_MAX));
    return total > INT32_MAX ? Status::error(Code::decoder, "%s: the outputs have more than 2^31 anchors", name())
                             : Status{};
  }

  // The grid of a stride in the slot at hand.
  struct SlotGrid {
    int32_t rows, columns, first, anchors;
    int64_t skip;  // anchors of finer strides in a joined output
    float step_x, step_y;
  };

  Status grids_of(const mnnlite_item& item, SlotGrid (&made)[kMostStrides]) const noexcept {
    int64_t skip = 0;
    for (int s = 0; s < n_; ++s) {
      const Grid& grid = grids_[s];
      SlotGrid& slot_grid = made[s];
      slot_grid = {grid.rows, grid.columns, grid.first, grid.anchors, 0, 0, 0};
      const double stride = rules_.strides[static_cast<size_t>(s)];
      if (slot_grid.rows == 0) {
        slot_grid.rows = static_cast<int32_t>(std::ceil(item.net_height / stride));
        slot_grid.columns = static_cast<int32_t>(std::ceil(item.net_width / stride));
      }
      const int64_t anchors = int64_t{slot_grid.rows} * slot_grid.columns * rules_.per_cell;
      if (joined_) {
        slot_grid.first = static_cast<int32_t>(std::min<int64_t>(skip, INT32_MAX));
        slot_grid.anchors = static_cast<int32_t>(std::min<int64_t>(anchors, INT32_MAX));
        slot_grid.skip = skip;
      } else if (anchors != grid.anchors) {
        return wrong_size(item, anchors, grid.anchors);
      }
      skip += anchors;
      slot_grid.step_x = grid.rows > 0 ? static_cast<float>(item.net_width) / static_cast<float>(slot_grid.columns)
                                       : static_cast<float>(stride);
      slot_grid.step_y = grid.rows > 0 ? static_cast<float>(item.net_height) / static_cast<float>(slot_grid.rows)
                                       : static_cast<float>(stride);
    }
    return joined_ && skip != total_ ? wrong_size(item, skip, total_) : Status{};
  }

  Status wrong_size(const mnnlite_item& item, int64_t wanted, int32_t got) const noexcept {
    return Status::error(Code::decoder,
                         "%s: an output has %d anchors, an input of %dx%d with the given strides has %lld", name(),
                         static_cast<int>(got), static_cast<int>(item.net_width), static_cast<int>(item.net_height),
                         static_cast<long long>(wanted));
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    SlotGrid where[kMostStrides] = {};
    MNNLITE_TRY(grids_of(item, where));
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int i = 0; i < call.n; ++i)
      if (i != prototypes_) readers_[i].read(call, call.tensors[i], slot);
    if (rules_.masks) masks_.begin(call, call.tensors[prototypes_], slot);
    for (int s = 0; s < n_; ++s) MNNLITE_TRY(scan(call, slot, s, where[s], found, count));
    return emit(call, slot, call.tensors[grids_[0].part[kBox].tensor], count);
  }

  const float* at(const Call& call, int slot, const Lie& lie, const SlotGrid& where, int32_t anchor) const noexcept {
    const float* data = readers_[lie.tensor].again(call, call.tensors[lie.tensor], slot);
    const int64_t index = anchor + where.skip;
    return data + lie.first + index / rules_.per_cell * lie.cell + index % rules_.per_cell * lie.anchor;
  }

  Status scan(const Call& call, int slot, int s, const SlotGrid& where, Candidate* found,
              int32_t& count) const noexcept {
    const Lie& score = grids_[s].part[kScore];
    const TensorView& tensor = call.tensors[score.tensor];
    float* best = call.at<float>(best_);
    int32_t *index = call.at<int32_t>(index_), *hits = call.at<int32_t>(hits_);
    // Where the scores of a class lie side by side for all anchors, many are looked at together.
    if (score.cell == rules_.per_cell && (rules_.per_cell == 1 || score.anchor == 1)) {
      const int64_t scores = classes_ == 1 ? where.anchors : int64_t{classes_} * score.number;
      for (int32_t start = 0; start < where.anchors; start += kBlock) {
        const int32_t n = std::min(kBlock, where.anchors - start);
        const float* plane = at(call, slot, score, where, start);
        if (!channel_argmax(plane, classes_, score.number, n, best, index))
          return not_finite(tensor, slot, plane - start, scores);
        const int32_t n_hits = above(best, n, cut_, hits);
        for (int32_t k = 0; k < n_hits; ++k)
          MNNLITE_TRY(add(call, slot, s, where, start + hits[k], best[hits[k]], index[hits[k]], found, count));
      }
      return {};
    }
    for (int32_t i = 0; i < where.anchors; ++i) {
      const float* row = at(call, slot, score, where, i);
      RowMax most{row[0], 0, std::isfinite(row[0])};
      if (score.number == 1) {
        most = row_max(row, classes_, cut_);
      } else {
        for (int32_t c = 1; c < classes_; ++c) {
          const float value = row[c * score.number];
          if (value > most.value) most.value = value, most.index = c;
          most.finite = most.finite && std::isfinite(value);
        }
      }
      if (!most.finite)
        return Status::error(Code::decoder,
                             "%s: output \"%s\" holds a score that is not finite at anchor %d of slot %d", name(),
                             tensor.name, static_cast<int>(i), slot);
      if (most.value > cut_) MNNLITE_TRY(add(call, slot, s, where, i, most.value, most.index, found, count));
    }
    return {};
  }

  Status add(const Call& call, int slot, int s, const SlotGrid& where, int32_t i, float value, int32_t class_id,
             Candidate* found, int32_t& count) const noexcept {
    float score = rules_.sigmoid ? sigmoid_f32(value) : value;
    if (rules_.objectness) {
      const Lie& lie = grids_[s].part[kObjectness];
      const float* objectness = at(call, slot, lie, where, i);
      if (!std::isfinite(*objectness)) return not_finite(call.tensors[lie.tensor], slot, objectness, 1);
      // Both are cut to [0, 1], as the source does.
      const float a = std::min(std::max(score, 0.0f), 1.0f),
                  b = std::min(std::max(rules_.sigmoid ? sigmoid_f32(*objectness) : *objectness, 0.0f), 1.0f);
      score = std::sqrt(a * b);
      if (!(score > options_.score)) return {};
    }
    Candidate& candidate = found[count++];
    candidate = {score, class_id, where.first + i, {}};
    box_of(call, slot, s, where, i, candidate.box);
    return {};
  }

  void point_of(const SlotGrid& where, int32_t i, float& x, float& y) const noexcept {
    const int32_t cell = i / rules_.per_cell;
    x = (static_cast<float>(cell % where.columns) + rules_.offset) * where.step_x;
    y = (static_cast<float>(cell / where.columns) + rules_.offset) * where.step_y;
  }

  void box_of(const Call& call, int slot, int s, const SlotGrid& where, int32_t i, float* box) const noexcept {
    const Lie& lie = grids_[s].part[kBox];
    const float* raw = at(call, slot, lie, where, i);
    const float unit_x = rules_.pixels ? 1.0f : where.step_x, unit_y = rules_.pixels ? 1.0f : where.step_y;
    float x, y, side[4];
    point_of(where, i, x, y);
    for (int d = 0; d < 4; ++d)
      side[d] = rules_.box == GridRules::distributions ? mean_of(raw + d * rules_.bins * lie.number, lie.number)
                                                       : raw[d * lie.number];
    if (rules_.box == GridRules::middle) {
      const float cx = x + side[0] * unit_x, cy = y + side[1] * unit_y, w = exp_f32(side[2]) * unit_x,
                  h = exp_f32(side[3]) * unit_y;
      box[0] = cx - w * 0.5f, box[1] = cy - h * 0.5f, box[2] = cx + w * 0.5f, box[3] = cy + h * 0.5f;
      // exp_f32 ends where floats do; what was no number must stay none.
      if (!std::isfinite(side[2]) || !std::isfinite(side[3])) box[0] = NAN;
      return;
    }
    box[0] = x - side[0] * unit_x, box[1] = y - side[1] * unit_y, box[2] = x + side[2] * unit_x,
    box[3] = y + side[3] * unit_y;
  }

  // Of a softmax over the bins.
  float mean_of(const float* logits, int64_t step) const noexcept {
    float most = logits[0], sum = 0, weighted = 0;
    for (int32_t k = 1; k < rules_.bins; ++k) most = std::max(most, logits[k * step]);
    for (int32_t k = 0; k < rules_.bins; ++k) {
      if (!std::isfinite(logits[k * step])) return NAN;
      const float power = exp_f32(logits[k * step] - most);
      sum += power;
      weighted += power * static_cast<float>(k);
    }
    return weighted / sum;
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    SlotGrid where[kMostStrides] = {};
    if (!grids_of(call.items[slot], where).ok()) return;
    int s = n_ - 1;
    while (s > 0 && candidate.index < where[s].first) --s;
    const Lie& lie = grids_[s].part[kPoints];
    const int32_t i = candidate.index - where[s].first;
    const float* raw = at(call, slot, lie, where[s], i);
    float x, y;
    point_of(where[s], i, x, y);
    float unit_x = rules_.pixels ? 1.0f : where[s].step_x, unit_y = rules_.pixels ? 1.0f : where[s].step_y;
    if (rules_.around) {
      x = static_cast<float>(i / rules_.per_cell % where[s].columns) * where[s].step_x;
      y = static_cast<float>(i / rules_.per_cell / where[s].columns) * where[s].step_y;
      unit_x *= 2, unit_y *= 2;
    }
    for (int32_t k = 0; k < points_.count; ++k, raw += points_.values * lie.number, values += points_.values) {
      values[0] = x + raw[0] * unit_x;
      values[1] = y + raw[lie.number] * unit_y;
      if (points_.values == 3) values[2] = std::isfinite(raw[2 * lie.number]) ? sigmoid_f32(raw[2 * lie.number]) : NAN;
    }
  }

  Status add_more(const Call& call, int slot, const Candidate& candidate, mnnlite_row& row,
                  More& more) const noexcept override {
    if (!rules_.masks) return {};
    SlotGrid where[kMostStrides] = {};
    MNNLITE_TRY(grids_of(call.items[slot], where));
    int s = n_ - 1;
    while (s > 0 && candidate.index < where[s].first) --s;
    const Lie& lie = grids_[s].part[kWeights];
    const float* from = at(call, slot, lie, where[s], candidate.index - where[s].first);
    float* weights = masks_.scratch(call);
    for (int32_t c = 0; c < masks_.coefficients(); ++c) weights[c] = from[c * lie.number];
    switch (masks_.write(call, call.tensors[prototypes_], slot, candidate.box, row)) {
      case InstanceMasks::kWritten: break;
      case InstanceMasks::kEmpty: more = More::dropped; break;
      case InstanceMasks::kNoRoom: more = More::no_room; break;
      case InstanceMasks::kNotFinite:
        return Status::error(Code::decoder,
                             "%s: output \"%s\" or the coefficients of candidate %d give a mask that is not finite",
                             name(), call.tensors[prototypes_].name, static_cast<int>(candidate.index));
    }
    return {};
  }

  static constexpr int32_t kBlock = 1024;  // candidates looked at together

  GridRules rules_;
  InstanceMasks masks_;
  int prototypes_ = -1;
  float cut_;
  bool joined_ = false;
  int n_ = 0;
  int32_t classes_ = 0, total_ = 0;
  Grid grids_[kMostStrides];
  Reader readers_[kMostStrides * kParts];
  size_t best_ = 0, index_ = 0, hits_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_grids(const GridRules& rules, const DetectionOptions& options) {
  return std::make_unique<Grids>(rules, options);
}

std::vector<double> read_strides(Options& options, std::vector<double> usual) {
  std::vector<double> strides = options.numbers("strides");
  if (strides.empty()) strides = std::move(usual);
  bool fine = strides.size() <= kMostStrides;
  for (double stride : strides) fine = fine && stride >= 1 && stride <= 4096;
  if (!fine) {
    options.fail(Status::error(Code::argument,
                               "%s: option \"strides\" must hold at most %d numbers in [1, 4096], finest first",
                               options.family(), kMostStrides));
    strides = {8};
  }
  return strides;
}

}  // namespace mnnlite
