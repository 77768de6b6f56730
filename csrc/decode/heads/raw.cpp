// Nothing is decoded: the task hands the outputs to its caller as arrays.
#include "decode/common/family.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

class Raw final : public BuiltIn {
 public:
  Raw() noexcept : BuiltIn("raw", 0, INT32_MAX) {}

 private:
  Status prepare(const TensorView*, int, Needs& needs) override {
    needs.kind(MNNLITE_RAW);
    return {};
  }
  Status run_slot(const Call&, int) const noexcept override { return {}; }
};

}  // namespace

std::unique_ptr<Decoder> make_raw(Options&) { return std::make_unique<Raw>(); }

}  // namespace mnnlite
