#include "decode/registry.hpp"

namespace mnnlite {

std::vector<const char*> decoder_families() { return {"raw"}; }

}  // namespace mnnlite
