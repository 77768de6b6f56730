// Which instruction sets this CPU has and which one the kernels use.
#pragma once

#include <vector>

namespace mnnlite {

enum class Isa { baseline, sse41, avx2, avx512, neon };

const char* name_of(Isa isa) noexcept;

// What this CPU and this build can run, slowest first; always starts with baseline.
std::vector<Isa> available_isas();

// The fastest available one, or the one that MNNLITE_FORCE_ISA names.
Isa active_isa();

}  // namespace mnnlite
