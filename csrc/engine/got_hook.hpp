// What the engine takes from other libraries can be led through functions of ours.
#pragma once

#include <cstddef>

namespace mnnlite {

struct GotHook {
  const char* name;
  void* function;
};

// In the shared library at `path`, and nowhere else in the process, calls of these names go to these functions from now
// on. Returns how many imports were replaced.
int install_got_hooks(const char* path, const GotHook* hooks, size_t count) noexcept;

}  // namespace mnnlite
