// Lanes from a row-anchor head: for each lane and each of a few rows a distribution over columns, with one more cell for
// "no lane here": [N, cells + 1, rows, lanes]. Definition: mnnlite/reference/decode/lanes.py
// Source: Qin et al. 2020 (Ultra Fast Structure-aware Deep Lane Detection), equations 3 to 6; cfzd/
// Ultra-Fast-Lane-Detection, demo.py, and data/dataset.py for how training bins columns.
#include <algorithm>
#include <cmath>
#include <vector>

#include "decode/common/frame_box.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/maps/lanes.hpp"

namespace mnnlite {
namespace {

class RowLanes final : public BuiltIn {
 public:
  RowLanes(Options& options, const LineOptions& lines) : BuiltIn("lanes", 1, 1), lines_(lines) {
    anchors_ = options.numbers("row_anchors");
    min_points_ = options.integer("min_points", 3, 2, 1 << 20);
    if (anchors_.empty())
      options.fail(Status::error(Code::argument,
                                 "lanes: head=\"rows\" needs row_anchors, the rows of the network's input in pixels"));
    for (size_t i = 1; i < anchors_.size(); ++i)
      if (!(anchors_[i] > anchors_[i - 1]))
        options.fail(Status::error(Code::argument, "lanes: option \"row_anchors\" must grow, got %g after %g",
                                   anchors_[i], anchors_[i - 1]));
  }

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    char text[96];
    if (desc[0].rank != 4 || !image_dims(desc[0], dims_) || dims_.channels < 3 ||
        static_cast<size_t>(dims_.height) != anchors_.size())
      return Status::error(Code::decoder, "lanes: output \"%s\" is %s, [N, cells + 1, %zu rows, lanes] is wanted",
                           desc[0].name, describe(desc[0], text), anchors_.size());
    MNNLITE_TRY(reader_.plan(name(), desc[0], Order::chw, needs));
    lines_.max_lines = std::max(lines_.max_lines, 1);
    writer_.plan(needs, lines_, dims_.height);
    needs.values(2 * int64_t{dims_.height} * std::min(lines_.max_lines, dims_.width) * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    const float* head = reader_.read(call, call.tensors[0], slot);
    MNNLITE_TRY(check_finite(call.tensors[0], slot, head, reader_.per_slot()));
    if (item.net_width < 1 || item.net_height < 1)
      return Status::error(Code::decoder,
                           "lanes needs the size of the network's input; give the decoder an image spec");
    const Mapping to_frame = mapping_of(item);
    const int32_t cells = dims_.channels - 1;
    // Training puts a point into cell floor(x / step), so a cell's middle is half a step further.
    const double step = (item.net_width - 1.0) / (cells - 1.0);
    int32_t written = 0;
    for (int32_t lane = 0; lane < dims_.width; ++lane) {
      writer_.begin();
      int32_t points = 0;
      double total = 0;
      for (int32_t row = dims_.height - 1; row >= 0; --row) {  // from near to far
        double cell;
        const float confidence = locate(head + int64_t{row} * dims_.width + lane, cell);
        if (confidence <= 0) continue;
        writer_.add(call, to_frame, {(cell + 0.5) * step, anchors_[static_cast<size_t>(row)]});
        total += confidence;
        ++points;
      }
      const float score = points > 0 ? static_cast<float>(total / points) : 0;
      if (points < min_points_ || score < lines_.score) continue;
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

  // The mean cell of the softmax over cells, and the probability that there is a lane; 0 if "none" is the best cell.
  float locate(const float* logits, double& cell) const noexcept {
    const int64_t step = int64_t{dims_.height} * dims_.width;
    const int32_t cells = dims_.channels - 1;
    float most = logits[0];
    for (int32_t c = 1; c < cells; ++c) most = std::max(most, logits[c * step]);
    const float none = logits[cells * step];
    if (!(none <= most)) return 0;
    double sum = 0, weighted = 0;
    for (int32_t c = 0; c < cells; ++c) {
      const double power = exp_f32(logits[c * step] - most);
      sum += power;
      weighted += power * c;
    }
    cell = weighted / sum;
    return static_cast<float>(sum / (sum + static_cast<double>(exp_f32(none - most))));
  }

  LineOptions lines_;
  std::vector<double> anchors_;
  int32_t min_points_;
  ImageDims dims_;
  Reader reader_;
  mutable LineWriter writer_;
};

}  // namespace

void fit_polynomial(Point* points, int32_t count, int32_t degree) noexcept {
  if (count <= degree + 1) return;
  double x1 = 1e300, x2 = -1e300, y1 = 1e300, y2 = -1e300;
  for (int32_t i = 0; i < count; ++i) {
    x1 = std::min(x1, points[i].x), x2 = std::max(x2, points[i].x);
    y1 = std::min(y1, points[i].y), y2 = std::max(y2, points[i].y);
  }
  const bool upright = y2 - y1 >= x2 - x1;
  const double middle = upright ? (y1 + y2) / 2 : (x1 + x2) / 2, half = (upright ? y2 - y1 : x2 - x1) / 2;
  if (!(half > 0)) return;
  // Normal equations in t from -1 to 1, which keeps them well conditioned for a cubic.
  double matrix[4][5] = {};
  const int n = degree + 1;
  for (int32_t i = 0; i < count; ++i) {
    const double t = ((upright ? points[i].y : points[i].x) - middle) / half,
                 value = upright ? points[i].x : points[i].y;
    double powers[7] = {1};
    for (int k = 1; k < 2 * n - 1; ++k) powers[k] = powers[k - 1] * t;
    for (int r = 0; r < n; ++r) {
      for (int c = 0; c < n; ++c) matrix[r][c] += powers[r + c];
      matrix[r][n] += powers[r] * value;
    }
  }
  for (int k = 0; k < n; ++k) {  // Gauss and Jordan, with the largest pivot
    int pivot = k;
    for (int r = k + 1; r < n; ++r)
      if (std::fabs(matrix[r][k]) > std::fabs(matrix[pivot][k])) pivot = r;
    if (!(std::fabs(matrix[pivot][k]) > 1e-9)) return;
    for (int c = 0; c <= n; ++c) std::swap(matrix[k][c], matrix[pivot][c]);
    for (int r = 0; r < n; ++r) {
      if (r == k) continue;
      const double factor = matrix[r][k] / matrix[k][k];
      for (int c = k; c <= n; ++c) matrix[r][c] -= factor * matrix[k][c];
    }
  }
  for (int32_t i = 0; i < count; ++i) {
    const double t = ((upright ? points[i].y : points[i].x) - middle) / half;
    double value = 0;
    for (int k = n - 1; k >= 0; --k) value = value * t + matrix[k][n] / matrix[k][k];
    (upright ? points[i].x : points[i].y) = value;
  }
}

std::unique_ptr<Decoder> make_row_lanes(Options& options, const LineOptions& lines) {
  return std::make_unique<RowLanes>(options, lines);
}

}  // namespace mnnlite
