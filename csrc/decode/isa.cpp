#include "decode/isa.hpp"

#include <cstdlib>
#include <cstring>

namespace mnnlite {

bool wide_isa() noexcept {
#if MNNLITE_DECODE_AVX2
  static const bool wide = [] {
    const char* forced = std::getenv("MNNLITE_FORCE_ISA");
    if (forced && (std::strcmp(forced, "baseline") == 0 || std::strcmp(forced, "sse41") == 0)) return false;
    return __builtin_cpu_supports("avx2") != 0;
  }();
  return wide;
#else
  return false;
#endif
}

}  // namespace mnnlite
