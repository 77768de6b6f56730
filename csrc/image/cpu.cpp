#include "image/cpu.hpp"

namespace mnnlite {

const char* name_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::baseline: return "baseline";
    case Isa::sse41: return "sse41";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::neon: return "neon";
  }
  return "?";
}

std::vector<Isa> available_isas() { return {Isa::baseline}; }

Isa active_isa() { return Isa::baseline; }

}  // namespace mnnlite
