// Class scores: softmax, sigmoid or as they are; the best k, or every class above a threshold.
// Definition: mnnlite/reference/decode/classification.py
#include <algorithm>

#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

enum Activation { kSoftmax, kSigmoid, kNone };
constexpr const char* kActivations[] = {"softmax", "sigmoid", "none", nullptr};

struct Ranked {
  float score;
  int32_t class_id;
};

class Classification final : public BuiltIn {
 public:
  explicit Classification(Options& options) noexcept
      : BuiltIn("classification", 1, 1),
        activation_(options.choice("activation", kActivations, kSoftmax)),
        top_k_(options.integer("top_k", 5, 1)),
        score_(static_cast<float>(options.number("score", 0, -1e30, 1e30))) {}

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(reader_.plan(name(), desc[0], Order::flat, needs));
    classes_ = reader_.per_slot();
    needs.classes(classes_);
    ranked_ = needs.scratch<Ranked>(classes_);
    keep_ = std::min(top_k_, classes_);
    needs.kind(MNNLITE_CLASSES);
    needs.rows(int64_t{keep_} * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    Ranked* ranked = call.at<Ranked>(ranked_);
    const float* logits = reader_.read(call, call.tensors[0], slot);
    MNNLITE_TRY(check_finite(call.tensors[0], slot, logits, classes_));
    activate(logits, ranked);
    const int32_t count = static_cast<int32_t>(
        std::remove_if(ranked, ranked + classes_, [this](const Ranked& r) { return !(r.score >= score_); }) - ranked);
    const int32_t kept = std::min(count, keep_);
    std::partial_sort(ranked, ranked + kept, ranked + count, [](const Ranked& a, const Ranked& b) {
      return a.score != b.score ? a.score > b.score : a.class_id < b.class_id;
    });
    for (int32_t i = 0; i < kept; ++i) {
      mnnlite_row row{};
      row.item = call.items[slot].item;
      row.class_id = ranked[i].class_id;
      row.score = ranked[i].score;
      row.parent = -1;
      call.sink.rows[call.sink.row_count++] = row;
    }
    // More classes than asked for is not a loss: top_k is the wish itself.
    call.sink.found += kept;
    return {};
  }

  void activate(const float* logits, Ranked* ranked) const noexcept {
    if (activation_ == kSoftmax) {
      const float best = *std::max_element(logits, logits + classes_);
      double sum = 0;
      for (int32_t i = 0; i < classes_; ++i) {
        ranked[i] = {exp_f32(logits[i] - best), i};
        sum += ranked[i].score;
      }
      for (int32_t i = 0; i < classes_; ++i) ranked[i].score = static_cast<float>(ranked[i].score / sum);
      return;
    }
    for (int32_t i = 0; i < classes_; ++i)
      ranked[i] = {activation_ == kSigmoid ? sigmoid_f32(logits[i]) : logits[i], i};
  }

  int activation_;
  int32_t top_k_;
  float score_;
  Reader reader_;
  int32_t classes_ = 0, keep_ = 0;
  size_t ranked_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_classification(Options& options) { return std::make_unique<Classification>(options); }

}  // namespace mnnlite
