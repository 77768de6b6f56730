// SSD: a box and class scores per anchor; boxes relative to anchors or already decoded, with or without key points.
// Definition: mnnlite/reference/decode/ssd.py. Sources: Liu et al. 2016, section 2.2 and its Caffe code for variances;
// MediaPipe, tensors_to_detections_calculator.cc, for boxes that are linear in the anchor's size and for key points.
#include <algorithm>
#include <cmath>
#include <vector>

#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"
#include "decode/heads/anchors.hpp"

namespace mnnlite {
namespace {

constexpr const char* kBoxes[] = {"corners", "centers", "deltas", nullptr};
constexpr const char* kOrders[] = {"xy", "yx", nullptr};
constexpr const char* kUnits[] = {"relative", "pixels", nullptr};
constexpr const char* kActivations[] = {"none", "sigmoid", "softmax", nullptr};
enum { kCorners, kCenters, kDeltas };
enum { kNone, kSigmoid, kSoftmax };

class Ssd final : public Detector {
 public:
  explicit Ssd(Options& options) : Detector("ssd", 2, 2) {
    options_.read(options);
    boxes_ = options.choice("boxes", kBoxes, kCorners);
    swapped_ = options.choice("order", kOrders, 0) == 1;
    pixels_ = options.choice("units", kUnits, 0) == 1;
    activation_ = options.choice("activation", kActivations, kNone);
    background_ = options.integer("background", -1, -1, 1 << 20);
    exponential_ = options.flag("exponential", true);
    multi_label_ = options.flag("multi_label", false);
    points_.count = options.integer("points", 0, 0, 1024);
    anchors_.read(options);
    const std::vector<double> variances = options.numbers("variances");
    if (!variances.empty() && variances.size() != 4)
      options.fail(Status::error(Code::argument,
                                 "ssd: option \"variances\" wants 4 numbers (x, y, width, height), got %zu",
                                 variances.size()));
    for (size_t i = 0; i < 4 && i < variances.size(); ++i) variances_[i] = static_cast<float>(variances[i]);
    if (boxes_ == kDeltas && !anchors_.any())
      options.fail(
          Status::error(Code::argument, "ssd: boxes=\"deltas\" needs anchors; give \"anchors\" or \"strides\""));
    // In logit space a sigmoid is computed only for what survives.
    cut_ = activation_ == kSigmoid ? logit_of(options_.score) : options_.score;
  }

 private:
  // Outputs come in either order: boxes are the ones with 4 numbers (and the points') an anchor.
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    const int32_t wanted = 4 + 2 * points_.count;
    int32_t columns[2];
    for (int i = 0; i < 2; ++i) {
      char text[96];
      if (desc[i].rank < 2)
        return Status::error(Code::decoder, "ssd: output \"%s\" is %s, [N, anchors, numbers] is wanted", desc[i].name,
                             describe(desc[i], text));
      columns[i] = desc[i].rank == 2 ? 1 : desc[i].dims[desc[i].rank - 1];
    }
    if (columns[0] != wanted && columns[1] != wanted)
      return Status::error(Code::decoder,
                           "ssd: neither \"%s\" nor \"%s\" has %d numbers an anchor, as boxes with %d points have",
                           desc[0].name, desc[1].name, static_cast<int>(wanted), static_cast<int>(points_.count));
    // Where both fit (four classes), the first is the scores: said in the option table.
    box_tensor_ = columns[1] == wanted ? 1 : 0;
    const TensorView& boxes = desc[box_tensor_];
    const TensorView& scores = desc[1 - box_tensor_];
    MNNLITE_TRY(box_reader_.plan(name(), boxes, Order::flat, needs));
    MNNLITE_TRY(score_reader_.plan(name(), scores, Order::flat, needs));
    count_ = box_reader_.per_slot() / wanted;
    classes_ = columns[1 - box_tensor_];
    if (int64_t{count_} * classes_ != score_reader_.per_slot())
      return Status::error(Code::decoder, "ssd: output \"%s\" has %d boxes but \"%s\" has %d scores of %d classes",
                           boxes.name, static_cast<int>(count_), scores.name,
                           static_cast<int>(score_reader_.per_slot() / classes_), static_cast<int>(classes_));
    if (background_ >= classes_ || (activation_ == kSoftmax && classes_ < 2))
      return Status::error(Code::decoder,
                           "ssd: output \"%s\" has %d classes, which does not go with background %d and the activation",
                           scores.name, static_cast<int>(classes_), static_cast<int>(background_));
    needs.classes(classes_ - (background_ >= 0 ? 1 : 0));
    if (boxes_ == kDeltas) {
      anchor_list_ = anchors_.make_for(count_);
      if (static_cast<int64_t>(anchor_list_.size()) != count_)
        return Status::error(Code::decoder,
                             "ssd: output \"%s\" has %d boxes but the options make %zu anchors; check anchors, strides "
                             "and input_size",
                             boxes.name, static_cast<int>(count_), anchor_list_.size());
    }
    // A candidate for each class: only the best are kept when there is no room for more, so room is bounded by top_k.
    const int64_t all = int64_t{count_} * classes_;
    room_ = multi_label_ ? std::min(all, std::max(int64_t{4096}, int64_t{2} * options_.nms.top_k)) : count_;
    ask_for_detections(needs, room_);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const TensorView& scores = call.tensors[1 - box_tensor_];
    MNNLITE_TRY(need_net_size(call.items[slot]));
    const float* score = score_reader_.read(call, scores, slot);
    MNNLITE_TRY(check_finite(scores, slot, score, int64_t{count_} * classes_));
    const float* boxes = box_reader_.read(call, call.tensors[box_tensor_], slot);
    if (multi_label_) return run_classes(call, slot, score, boxes);
    Candidate* found = candidates(call);
    int32_t count = 0;
    const auto take = [&](int32_t i, int32_t best, float value) noexcept {
      if (activation_ == kSigmoid) value = sigmoid_f32(value);
      Candidate& candidate = found[count];
      candidate = {value, background_ >= 0 && best > background_ ? best - 1 : best, i, {}};
      decode_box(call.items[slot], boxes + int64_t{i} * (4 + 2 * points_.count), i, candidate.box);
      ++count;
    };
    if (classes_ == (background_ >= 0 ? 2 : 1) && activation_ != kSoftmax) {  // one class: nothing to choose from
      const int32_t only = background_ == 0 ? 1 : 0, step = classes_;
      const float cut = cut_;
      score += only;
      for (int32_t i = 0; i < count_; ++i, score += step)
        if (*score > cut) take(i, only, *score);
      return emit(call, slot, call.tensors[box_tensor_], count);
    }
    for (int32_t i = 0; i < count_; ++i, score += classes_) {
      int32_t best = background_ == 0 ? 1 : 0;
      for (int32_t c = best + 1; c < classes_; ++c)
        if (c != background_ && score[c] > score[best]) best = c;
      if (best >= classes_) continue;
      const float value = activation_ == kSoftmax ? softmax(score, best) : score[best];
      if (value > cut_) take(i, best, value);
    }
    return emit(call, slot, call.tensors[box_tensor_], count);
  }

  // Every class of every anchor that is above the threshold.
  Status run_classes(const Call& call, int slot, const float* score, const float* boxes) const noexcept {
    const TensorView& tensor = call.tensors[box_tensor_];
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t i = 0; i < count_; ++i, score += classes_) {
      bool decoded = false;
      float box[4];
      const float most = activation_ == kSoftmax ? *std::max_element(score, score + classes_) : 0;
      const double sum = activation_ == kSoftmax ? sum_of_powers(score, most) : 1;
      for (int32_t c = 0; c < classes_; ++c) {
        const float value = activation_ == kSoftmax ? power(score[c], most, sum) : score[c];
        if (c == background_ || !(value > cut_)) continue;
        if (!decoded) decode_box(call.items[slot], boxes + int64_t{i} * (4 + 2 * points_.count), i, box);
        decoded = true;
        if (count == room_) {
          call.sink.truncated = 1;
          MNNLITE_TRY(check_candidates(tensor, found, count));
          count = keep_best(found, count, options_.nms.top_k);
        }
        Candidate& candidate = found[count++];
        candidate = {activation_ == kSigmoid ? sigmoid_f32(value) : value,
                     background_ >= 0 && c > background_ ? c - 1 : c,
                     i,
                     {}};
        std::copy(box, box + 4, candidate.box);
      }
    }
    return emit(call, slot, tensor, count);
  }

  double sum_of_powers(const float* score, float most) const noexcept {
    double sum = 0;
    for (int32_t c = 0; c < classes_; ++c) sum += exp_f32(score[c] - most);
    return sum;
  }

  static float power(float score, float most, double sum) noexcept {
    return static_cast<float>(static_cast<double>(exp_f32(score - most)) / sum);
  }

  float softmax(const float* score, int32_t best) const noexcept {
    const float most = *std::max_element(score, score + classes_);
    return power(score[best], most, sum_of_powers(score, most));
  }

  // One of x1, y1, x2, y2 in network pixels.
  void decode_box(const mnnlite_item& item, const float* raw, int32_t i, float* box) const noexcept {
    const float width = pixels_ ? 1.0f : static_cast<float>(item.net_width),
                height = pixels_ ? 1.0f : static_cast<float>(item.net_height);
    const float a = raw[swapped_ ? 1 : 0], b = raw[swapped_ ? 0 : 1], c = raw[swapped_ ? 3 : 2],
                d = raw[swapped_ ? 2 : 3];
    if (boxes_ == kCorners) {
      box[0] = a * width, box[1] = b * height, box[2] = c * width, box[3] = d * height;
      return;
    }
    float cx = a, cy = b, w = c, h = d;
    if (boxes_ == kDeltas) {
      const SsdAnchor& anchor = anchor_list_[static_cast<size_t>(i)];
      cx = anchor.cx + a * variances_[0] * anchor.width;
      cy = anchor.cy + b * variances_[1] * anchor.height;
      w = anchor.width * (exponential_ ? exp_f32(c * variances_[2]) : c * variances_[2]);
      h = anchor.height * (exponential_ ? exp_f32(d * variances_[3]) : d * variances_[3]);
    }
    box[0] = (cx - w * 0.5f) * width, box[1] = (cy - h * 0.5f) * height;
    box[2] = (cx + w * 0.5f) * width, box[3] = (cy + h * 0.5f) * height;
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    const float* raw = box_reader_.again(call, call.tensors[box_tensor_], slot);
    raw += int64_t{candidate.index} * (4 + 2 * points_.count) + 4;
    const mnnlite_item& item = call.items[slot];
    const float width = pixels_ ? 1.0f : static_cast<float>(item.net_width),
                height = pixels_ ? 1.0f : static_cast<float>(item.net_height);
    for (int32_t k = 0; k < points_.count; ++k) {
      float x = raw[2 * k + (swapped_ ? 1 : 0)], y = raw[2 * k + (swapped_ ? 0 : 1)];
      if (boxes_ == kDeltas) {
        const SsdAnchor& anchor = anchor_list_[static_cast<size_t>(candidate.index)];
        x = anchor.cx + x * variances_[0] * anchor.width;
        y = anchor.cy + y * variances_[1] * anchor.height;
      }
      values[2 * k] = x * width;
      values[2 * k + 1] = y * height;
    }
  }

  int boxes_, activation_;
  bool swapped_, pixels_, exponential_, multi_label_;
  int32_t background_;
  float variances_[4] = {0.1f, 0.1f, 0.2f, 0.2f};
  float cut_;
  AnchorOptions anchors_;
  Reader box_reader_, score_reader_;
  int box_tensor_ = 1;
  int32_t count_ = 0, classes_ = 0;
  int64_t room_ = 0;  // for candidates
  std::vector<SsdAnchor> anchor_list_;
};

}  // namespace

std::unique_ptr<Decoder> make_ssd(Options& options) { return std::make_unique<Ssd>(options); }

}  // namespace mnnlite
