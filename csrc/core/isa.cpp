#include "core/isa.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mnnlite {
namespace {

constexpr Isa kIsas[] = {Isa::baseline, Isa::sse41, Isa::avx2, Isa::neon};

#if defined(__x86_64__)
// Asked of the CPU: what __builtin_cpu_supports knows is in the libgcc that is linked, and one before GCC 11 knows no F16C and
// says no. That the system keeps the wide registers is part of its answer for AVX2.
bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

bool can_run(Isa isa) noexcept {
  switch (isa) {
    case Isa::baseline: return true;
#if defined(__x86_64__)
    case Isa::sse41: return __builtin_cpu_supports("sse4.1") != 0;
    case Isa::avx2: return __builtin_cpu_supports("avx2") != 0 && has_f16c();
#elif defined(__aarch64__)
    case Isa::neon: return true;  // part of the architecture
#endif
    default: return false;
  }
}

Isa fastest() noexcept {
  Isa best = Isa::baseline;
  for (Isa isa : kIsas)
    if (can_run(isa)) best = isa;
  return best;
}

Status find(const char* name, Isa& isa) noexcept {
  char names[80] = "";
  for (Isa known : kIsas) {
    const bool usable = can_run(known);
    if (usable) {
      if (names[0] != '\0') std::strcat(names, ", ");
      std::strcat(names, name_of(known));
    }
    if (std::strcmp(name, name_of(known)) != 0) continue;
    if (usable) {
      isa = known;
      return {};
    }
    return Status::error(Code::argument,
                         "instruction set %s: this CPU or this build does not have it; unset MNNLITE_FORCE_ISA", name);
  }
  return Status::error(Code::argument, "instruction set: got '%.40s', wanted one of %s", name, names);
}

struct Choice {
  Status status;
  Isa isa = Isa::baseline;
};

const Choice& initial() noexcept {
  static const Choice choice = [] {
    Choice made;
    const char* name = std::getenv("MNNLITE_FORCE_ISA");
    if (name == nullptr || *name == '\0')
      made.isa = fastest();
    else
      made.status = find(name, made.isa);
    return made;
  }();
  return choice;
}

std::atomic<int> forced{-1};

}  // namespace

const char* name_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::baseline: return "baseline";
    case Isa::sse41: return "sse41";
    case Isa::avx2: return "avx2";
    case Isa::neon: return "neon";
  }
  return "?";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (Isa isa : kIsas)
    if (can_run(isa)) isas.push_back(isa);
  return isas;
}

Isa active_isa() noexcept {
  const int chosen = forced.load(std::memory_order_relaxed);
  return chosen >= 0 ? static_cast<Isa>(chosen) : initial().isa;
}

Status choose_isa(Isa& isa) noexcept {
  isa = active_isa();
  return forced.load(std::memory_order_relaxed) >= 0 ? Status{} : initial().status;
}

Status force_isa(const char* name) noexcept {
  if (name == nullptr || *name == '\0') {
    forced.store(-1, std::memory_order_relaxed);
    return {};
  }
  Isa isa = Isa::baseline;
  MNNLITE_TRY(find(name, isa));
  forced.store(static_cast<int>(isa), std::memory_order_relaxed);
  return {};
}

}  // namespace mnnlite
