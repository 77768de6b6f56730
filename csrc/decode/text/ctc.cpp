// Text by connectionist temporal classification, greedy: the best symbol of each step, repeats merged, blanks dropped.
// Definition: mnnlite/reference/decode/ctc.py. Source: Graves et al. 2006, section 3.2 (best path decoding).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "decode/common/frame_box.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/common/row_max.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kActivations[] = {"none", "softmax", nullptr};
constexpr const char* kBlanks[] = {"first", "last", nullptr};
constexpr const char* kAxes[] = {"batch", "time", nullptr};

class Ctc final : public BuiltIn {
 public:
  explicit Ctc(Options& options) : BuiltIn("ctc", 1, 1) {
    softmax_ = options.choice("activation", kActivations, 0) == 1;
    blank_last_ = options.choice("blank", kBlanks, 0) == 1;
    time_first_ = options.choice("first_axis", kAxes, 0) == 1;
    symbols_first_ = options.flag("symbols_first", false);
    score_ = options.probability("score", 0);
    keep_empty_ = options.flag("keep_empty", false);
    const char* keys = options.text("keys", "");
    // One symbol a line, each of any number of bytes.
    if (*keys)
      for (const char* start = keys;;) {
        const char* end = std::strchr(start, '\n');
        symbols_.emplace_back(start, end ? static_cast<size_t>(end - start) : std::strlen(start));
        if (!end) break;
        start = end + 1;
      }
    if (options.flag("space", false)) symbols_.emplace_back(" ");
    for (const std::string& symbol : symbols_) longest_ = std::max(longest_, static_cast<int32_t>(symbol.size()));
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    if (symbols_first_) {
      if ((desc[0].rank != 2 && desc[0].rank != 3) || pack_of(layout_of(desc[0])) > 1)
        return Status::error(Code::decoder,
                             "ctc: output \"%s\" is %s, with symbols_first [N, symbols, steps] is wanted", desc[0].name,
                             describe(desc[0], text));
      const TensorView view = upright(desc[0]);
      classes_ = view.dims[1], steps_ = view.dims[3];
      MNNLITE_TRY(reader_.plan(name(), view, Order::hwc, needs));
      return ask_for_texts(view, needs);
    }
    const TensorView& tensor = desc[0];
    if (tensor.rank < 2 || tensor.rank > 4)
      return Status::error(Code::decoder, "ctc: output \"%s\" is %s, [N, steps, symbols] is wanted", tensor.name,
                           describe(tensor, text));
    // Axes of 1 between (N, 1, steps, symbols) mean nothing.
    classes_ = tensor.dims[tensor.rank - 1];
    const int32_t steps = tensor.dims[tensor.rank - 2];
    if (pack_of(layout_of(tensor)) > 1 && (time_first_ || tensor.rank == 2))
      return Status::error(Code::decoder, "ctc: output \"%s\" is %s, a row-major tensor is wanted", tensor.name,
                           describe(tensor, text));
    if (time_first_) {
      if (tensor.rank != 3 || tensor.dims[1] != 1 || needs.max_items() != 1)
        return Status::error(Code::decoder,
                             "ctc: output \"%s\" is %s, with first_axis=\"time\" [steps, 1, symbols] is wanted",
                             tensor.name, describe(tensor, text));
      steps_ = tensor.dims[0];
      TensorView flat = tensor;
      flat.rank = 2, flat.dims[0] = 1, flat.dims[1] = steps_ * classes_;
      MNNLITE_TRY(reader_.plan(name(), flat, Order::flat, needs));
    } else if (tensor.rank == 2) {
      steps_ = steps;
      TensorView flat = tensor;
      flat.rank = 3, flat.dims[0] = 1, flat.dims[1] = steps, flat.dims[2] = classes_;
      MNNLITE_TRY(reader_.plan(name(), flat, Order::flat, needs));
    } else {
      MNNLITE_TRY(reader_.plan(name(), tensor, Order::flat, needs));
      steps_ = reader_.per_slot() / classes_;
    }
    return ask_for_texts(tensor, needs);
  }

  // [N, symbols, 1, steps], whose pixels are the steps.
  static TensorView upright(const TensorView& tensor) noexcept {
    TensorView view = tensor;
    const int32_t first = tensor.rank == 3 ? 1 : 0;
    const int32_t dims[4] = {first ? tensor.dims[0] : 1, tensor.dims[first], 1, tensor.dims[first + 1]};
    std::copy(dims, dims + 4, view.dims);
    view.rank = 4, view.layout = MNNLITE_NCHW;
    return view;
  }

  Status ask_for_texts(const TensorView& tensor, Needs& needs) noexcept {
    if (classes_ < 2 || (!symbols_.empty() && static_cast<int64_t>(symbols_.size()) + 1 != classes_))
      return Status::error(Code::decoder, "ctc: output \"%s\" has %d symbols with the blank, but there are %zu keys",
                           tensor.name, static_cast<int>(classes_), symbols_.size());
    needs.kind(MNNLITE_TEXTS);
    needs.rows(needs.max_items());
    needs.values(int64_t{8 + steps_} * needs.max_items());
    // Without keys a symbol is written as its number and a space.
    needs.chars(int64_t{steps_} * (symbols_.empty() ? 12 : longest_) * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    mnnlite_sink& sink = call.sink;
    const TensorView& tensor = call.tensors[0];
    const float* step = symbols_first_ ? reader_.read(call, upright(tensor), slot)
                                       : reader_.read(call, tensor, time_first_ || tensor.rank == 2 ? 0 : slot);
    mnnlite_row row{};
    row.item = call.items[slot].item;
    row.class_id = row.parent = -1;
    row.first_value = sink.value_count;
    row.first_char = sink.char_count;
    float* values = sink.values + sink.value_count;
    const int32_t blank = blank_last_ ? classes_ - 1 : 0;
    int32_t count = 0, previous = -1;
    double total = 0;
    for (int32_t t = 0; t < steps_; ++t, step += classes_) {
      const RowMax best = row_max(step, classes_);
      if (!best.finite) return not_finite(tensor, slot, step, classes_);
      const bool fresh = best.index != previous && best.index != blank;
      previous = best.index;
      if (!fresh) continue;
      const float confidence = softmax_ ? top_probability(step, best.value) : best.value;
      values[8 + count++] = confidence;
      total += confidence;
      write_symbol(sink, best.index - (best.index > blank ? 1 : 0));
    }
    row.score = count > 0 ? static_cast<float>(total / count) : 0;
    if (row.score > kMostProbability) return not_probability(tensor, row.score, "activation=\"softmax\"");
    row.char_count = sink.char_count - row.first_char;
    if ((count == 0 && !keep_empty_) || row.score < score_ || !quad_in_frame(call.items[slot], values, row.box)) {
      sink.char_count = row.first_char;
      return {};
    }
    row.value_count = 8 + count;
    sink.value_count += row.value_count;
    sink.rows[sink.row_count++] = row;
    ++sink.found;
    return {};
  }

  float top_probability(const float* step, float best) const noexcept {
    double sum = 0;
    for (int32_t c = 0; c < classes_; ++c) sum += exp_f32(step[c] - best);
    return static_cast<float>(1 / sum);
  }

  void write_symbol(mnnlite_sink& sink, int32_t symbol) const noexcept {
    char* out = sink.chars + sink.char_count;
    if (symbols_.empty()) {
      sink.char_count += std::snprintf(out, 12, "%d ", static_cast<int>(symbol));
      return;
    }
    const std::string& text = symbols_[static_cast<size_t>(symbol)];
    std::memcpy(out, text.data(), text.size());
    sink.char_count += static_cast<int32_t>(text.size());
  }

  // The text's quadrilateral is the picture in the network's input, without the bars of a letterbox: of a crop, its corners
  // in the frame.
  static bool quad_in_frame(const mnnlite_item& item, float* corners, float* box) noexcept {
    const Mapping mapping = mapping_of(item);
    int32_t picture[4] = {0, 0, item.net_width, item.net_height};
    if (item.picture[2] > item.picture[0] && item.picture[3] > item.picture[1])
      std::memcpy(picture, item.picture, sizeof picture);
    const double left = picture[0], top = picture[1], right = picture[2], bottom = picture[3];
    const double x[4] = {left, right, right, left}, y[4] = {top, top, bottom, bottom};
    for (int i = 0; i < 4; ++i) {
      double u, v;
      mapping.apply(x[i], y[i], u, v);
      corners[2 * i] = static_cast<float>(u);
      corners[2 * i + 1] = static_cast<float>(v);
      if (!std::isfinite(corners[2 * i]) || !std::isfinite(corners[2 * i + 1])) return false;
    }
    const float whole[4] = {static_cast<float>(left), static_cast<float>(top), static_cast<float>(right),
                            static_cast<float>(bottom)};
    return box_in_frame(mapping, item, whole, true, box);
  }

  bool softmax_, blank_last_, time_first_, symbols_first_, keep_empty_;
  float score_;
  std::vector<std::string> symbols_;
  int32_t longest_ = 0;
  Reader reader_;
  int32_t steps_ = 0, classes_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_ctc(Options& options) { return std::make_unique<Ctc>(options); }

}  // namespace mnnlite
