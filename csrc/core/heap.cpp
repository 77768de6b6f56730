#include "core/heap.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace mnnlite {
namespace {

std::atomic<bool> kept{false};

const char* setting() noexcept {
  static const char* const word = [] {
    const char* given = std::getenv("MNNLITE_HEAP");
    return given && *given ? given : "share";
  }();
  return word;
}

bool is_refused() noexcept { return kept.load(std::memory_order_relaxed) || std::strcmp(setting(), "keep") == 0; }

#ifdef __GLIBC__

// Below the least size from which glibc may give a block a mapping of its own (M_MMAP_THRESHOLD, 128 KiB at the start).
constexpr size_t kFiller = 120 * 1024;
// A heap other than the main one is not larger (HEAP_MAX_SIZE).
constexpr size_t kLargestHeap = size_t{64} << 20;

struct Filler {
  Filler* before;
};

// What malloc holds free, in all heaps.
size_t free_bytes() noexcept {
#if __GLIBC_PREREQ(2, 33)
  return ::mallinfo2().fordblks;
#else
  return static_cast<unsigned>(::mallinfo().fordblks);
#endif
}

// malloc_trim gives back what is free between blocks. The free end of a heap that is not the main one it leaves, and
// free() gives that back only above a threshold which rises with the largest block that the process ever freed, so many
// megabytes of a network that went stayed. Blocks that fill this thread's heap up, of which the last one stays for the
// moment, make the free end one that lies between blocks.
void trim_end_of_heap() noexcept {
  Filler* last = nullptr;
  // As much as is free anywhere does not fit into what is free here: the last one lies behind the former end.
  const size_t wanted = std::min(free_bytes(), kLargestHeap) + kFiller;
  for (size_t size = 0; size < wanted; size += kFiller) {
    auto* const filler = static_cast<Filler*>(std::malloc(kFiller));
    if (!filler) break;
    filler->before = last;
    last = filler;
    // The main heap lies below the program's break, and malloc_trim knows its end.
    if (reinterpret_cast<uintptr_t>(filler) < reinterpret_cast<uintptr_t>(::sbrk(0))) break;
  }
  Filler* each = last ? last->before : nullptr;
  while (each) {
    Filler* const before = each->before;
    std::free(each);
    each = before;
  }
  ::malloc_trim(0);
  std::free(last);
}

#endif

}  // namespace

Status share_heap() noexcept {
  if (std::strcmp(setting(), "keep") != 0 && std::strcmp(setting(), "share") != 0)
    return Status::error(Code::argument, "MNNLITE_HEAP is '%.40s'; it must be one of 'share', 'keep'", setting());
#ifdef __GLIBC__
  if (!is_refused() && !std::getenv("MALLOC_ARENA_MAX")) ::mallopt(M_ARENA_MAX, 1);
#endif
  return {};
}

void trim_heap() noexcept {
#ifdef __GLIBC__
  if (!is_refused()) trim_end_of_heap();
#endif
}

void keep_heap() noexcept { kept.store(true, std::memory_order_relaxed); }

}  // namespace mnnlite
