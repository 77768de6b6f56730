// Numbers that the network says in its own unit: an age, the angles of a head. Definition:
// mnnlite/reference/decode/regression.py. Source of expectations: Rothe et al. 2015 (DEX), equation 1; Ruiz et al. 2018
// (Hopenet), section 3.2: the mean of the bins after softmax, or by the probabilities that the network gives.
#include <algorithm>
#include <cmath>

#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr int kMostOutputs = 16;
constexpr const char* kModes[] = {"values", "expectation", "probabilities", nullptr};

class Regression final : public BuiltIn {
 public:
  explicit Regression(Options& options) : BuiltIn("regression", 1, kMostOutputs) {
    const int mode = options.choice("mode", kModes, 0);
    expectation_ = mode != 0;
    probabilities_ = mode == 2;
    scale_ = options.number("scale", 1, -1e12, 1e12);
    offset_ = options.number("offset", 0, -1e12, 1e12);
  }

 private:
  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    n_ = n;
    int64_t total = 0;
    for (int i = 0; i < n; ++i) {
      MNNLITE_TRY(readers_[i].plan(name(), desc[i], Order::flat, needs));
      total += expectation_ ? 1 : readers_[i].per_slot();
    }
    needs.kind(MNNLITE_MEASUREMENTS);
    needs.rows(needs.max_items());
    needs.values(total * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    mnnlite_sink& sink = call.sink;
    mnnlite_row row{};
    row.item = call.items[slot].item;
    row.class_id = row.parent = -1;
    row.score = 1;
    row.first_value = sink.value_count;
    for (int i = 0; i < n_; ++i) {
      const float* numbers = readers_[i].read(call, call.tensors[i], slot);
      const int32_t count = readers_[i].per_slot();
      MNNLITE_TRY(check_finite(call.tensors[i], slot, numbers, count));
      if (expectation_)
        MNNLITE_TRY(add(call, i, probabilities_ ? mean_by(numbers, count) : mean_of(numbers, count)));
      else
        for (int32_t k = 0; k < count; ++k) MNNLITE_TRY(add(call, i, static_cast<double>(numbers[k])));
    }
    row.value_count = sink.value_count - row.first_value;
    sink.rows[sink.row_count++] = row;
    ++sink.found;
    return {};
  }

  Status add(const Call& call, int i, double value) const noexcept {
    const auto scaled = static_cast<float>(value * scale_ + offset_);
    if (!std::isfinite(scaled))
      return Status::error(Code::decoder, "regression: output \"%s\" scaled by %g is not finite", call.tensors[i].name,
                           scale_);
    call.sink.values[call.sink.value_count++] = scaled;
    return {};
  }

  static double mean_of(const float* logits, int32_t count) noexcept {
    const float most = *std::max_element(logits, logits + count);
    double sum = 0, weighted = 0;
    for (int32_t k = 0; k < count; ++k) {
      const auto power = static_cast<double>(exp_f32(logits[k] - most));
      sum += power;
      weighted += power * k;
    }
    return weighted / sum;
  }

  static double mean_by(const float* probabilities, int32_t count) noexcept {
    double weighted = 0;
    for (int32_t k = 0; k < count; ++k) weighted += static_cast<double>(probabilities[k]) * k;
    return weighted;
  }

  bool expectation_, probabilities_;
  double scale_, offset_;
  int n_ = 0;
  Reader readers_[kMostOutputs];
};

}  // namespace

std::unique_ptr<Decoder> make_regression(Options& options) { return std::make_unique<Regression>(options); }

}  // namespace mnnlite
