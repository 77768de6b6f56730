// Preloaded into a process: counts allocations by who asked for them, and lets one of them fail. The allocators of C and
// C++ are replaced by ones that look at the return address and pass on. Frames of the skipped library (libstdc++) are
// looked through.
#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

struct Range {
  std::uintptr_t begin = 0, end = 0;
  bool has(const void* address) const {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    return begin <= value && value < end;
  }
};

Range watched, skipped;
std::atomic<long> count{0}, failing{0};
int report = -1;
std::atomic<std::uintptr_t> last{0};
thread_local bool inside = false;

// Whether the allocation is to fail.
bool note(const void* caller) {
  if (watched.begin == 0 || inside) return false;
  if (skipped.has(caller)) {
    inside = true;
    void* frames[12];
    const int depth = backtrace(frames, 12);
    for (int i = 2; i < depth; ++i) {
      caller = frames[i];
      if (!skipped.has(caller)) break;
    }
    inside = false;
  }
  if (!watched.has(caller)) return false;
  last = reinterpret_cast<std::uintptr_t>(caller) - watched.begin;
  if (++count != failing) return false;
  const std::uintptr_t where = last;
  if (report >= 0) (void)!write(report, &where, sizeof where);
  errno = ENOMEM;
  return true;
}

void* or_throw(void* memory) {
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

#define SHOWN __attribute__((visibility("default"), noinline))
#define CALLER __builtin_return_address(0)

extern "C" {

// Count from now on what [begin, end) asks for, looking through [skip_begin, skip_end).
SHOWN void malloc_hook_watch(std::uintptr_t begin, std::uintptr_t end, std::uintptr_t skip_begin,
                             std::uintptr_t skip_end) {
  void* frames[2];
  backtrace(frames, 2);  // allocates at its first use
  skipped = {skip_begin, skip_end};
  count = 0;
  failing = 0;
  watched = {begin, end};
}
SHOWN void malloc_hook_report(int descriptor) { report = descriptor; }  // where the caller of the failed one is written
SHOWN void malloc_hook_fail(long number) { failing = number; }  // the how manieth from now on fails, once; 0: none
SHOWN long malloc_hook_count() { return count; }
SHOWN std::uintptr_t malloc_hook_last() { return last; }  // offset of the last caller from `begin`

SHOWN void* malloc(size_t size) { return note(CALLER) ? nullptr : __libc_malloc(size); }
SHOWN void* calloc(size_t n, size_t size) { return note(CALLER) ? nullptr : __libc_calloc(n, size); }
SHOWN void* realloc(void* old, size_t size) { return note(CALLER) ? nullptr : __libc_realloc(old, size); }
SHOWN void* memalign(size_t alignment, size_t size) {
  return note(CALLER) ? nullptr : __libc_memalign(alignment, size);
}
SHOWN void* aligned_alloc(size_t alignment, size_t size) {
  return note(CALLER) ? nullptr : __libc_memalign(alignment, size);
}
SHOWN int posix_memalign(void** result, size_t alignment, size_t size) {
  if (note(CALLER)) return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}

}  // extern "C"

SHOWN void* operator new(size_t size) { return or_throw(note(CALLER) ? nullptr : __libc_malloc(size ? size : 1)); }
SHOWN void* operator new[](size_t size) { return or_throw(note(CALLER) ? nullptr : __libc_malloc(size ? size : 1)); }
SHOWN void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return note(CALLER) ? nullptr : __libc_malloc(size ? size : 1);
}
SHOWN void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return note(CALLER) ? nullptr : __libc_malloc(size ? size : 1);
}
SHOWN void* operator new(size_t size, std::align_val_t alignment) {
  return or_throw(note(CALLER) ? nullptr : __libc_memalign(static_cast<size_t>(alignment), size));
}
SHOWN void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return note(CALLER) ? nullptr : __libc_memalign(static_cast<size_t>(alignment), size);
}
