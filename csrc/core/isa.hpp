// Which instruction sets this CPU has and which one the kernels use.
#pragma once

#include <vector>

#include "core/status.hpp"

namespace mnnlite {

enum class Isa { baseline, sse41, avx2, neon };

const char* name_of(Isa isa) noexcept;

// What this CPU and this build can run, slowest first; always starts with baseline.
std::vector<Isa> available_isas();

// The fastest available one, or the one that MNNLITE_FORCE_ISA names: Code::argument if there is none of that name or
// this CPU cannot run it. The environment is read once. Asked where a plan or a decoder is made.
Status choose_isa(Isa& isa) noexcept;

// The same without a refusal, which choose_isa has given before: the baseline in its place. For the inside of loops.
Isa active_isa() noexcept;

// For tests and benchmarks: what choose_isa gives from now on. Null or "" goes back to the start.
Status force_isa(const char* name) noexcept;

}  // namespace mnnlite
