// Feature vectors, scaled to length 1 so that their inner product is the cosine of their angle.
// Definition: mnnlite/reference/decode/embedding.py
#include <cmath>

#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

class Embedding final : public BuiltIn {
 public:
  explicit Embedding(Options& options) : BuiltIn("embedding", 1, 1), normalize_(options.flag("normalize", true)) {}

 private:
  Status prepare(const TensorView* desc, int, Needs& needs) override {
    MNNLITE_TRY(reader_.plan(name(), desc[0], Order::flat, needs));
    needs.kind(MNNLITE_EMBEDDINGS);
    needs.rows(needs.max_items());
    needs.values(int64_t{reader_.per_slot()} * needs.max_items());
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const int32_t count = reader_.per_slot();
    const float* vector = reader_.read(call, call.tensors[0], slot);
    MNNLITE_TRY(check_finite(call.tensors[0], slot, vector, count));
    mnnlite_row row{};
    row.item = call.items[slot].item;
    row.class_id = row.parent = -1;
    row.score = 1;
    row.first_value = call.sink.value_count;
    row.value_count = count;
    float* out = call.sink.values + row.first_value;
    double length = 0;
    for (int32_t i = 0; i < count; ++i) length += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
    length = std::sqrt(length);
    // A vector of zeros has no direction and stays as it is.
    const double divisor = normalize_ && length > 0 ? length : 1;
    for (int32_t i = 0; i < count; ++i) out[i] = static_cast<float>(static_cast<double>(vector[i]) / divisor);
    call.sink.value_count += count;
    call.sink.rows[call.sink.row_count++] = row;
    ++call.sink.found;
    return {};
  }

  bool normalize_;
  Reader reader_;
};

}  // namespace

std::unique_ptr<Decoder> make_embedding(Options& options) { return std::make_unique<Embedding>(options); }

}  // namespace mnnlite
