#include "core/heap.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace mnnlite {
namespace {

std::atomic<bool> kept{false};

const char* said() noexcept {
  static const char* const word = [] {
    const char* given = std::getenv("MNNLITE_HEAP");
    return given && *given ? given : "share";
  }();
  return word;
}

bool is_refused() noexcept { return kept.load(std::memory_order_relaxed) || std::strcmp(said(), "keep") == 0; }

}  // namespace

Status share_heap() noexcept {
  if (std::strcmp(said(), "keep") != 0 && std::strcmp(said(), "share") != 0)
    return Status::error(Code::argument, "MNNLITE_HEAP is '%.40s'; it must be one of 'share', 'keep'", said());
#ifdef __GLIBC__
  if (!is_refused() && !std::getenv("MALLOC_ARENA_MAX")) ::mallopt(M_ARENA_MAX, 1);
#endif
  return {};
}

void trim_heap() noexcept {
#ifdef __GLIBC__
  if (!is_refused()) ::malloc_trim(0);
#endif
}

void keep_heap() noexcept { kept.store(true, std::memory_order_relaxed); }

}  // namespace mnnlite
