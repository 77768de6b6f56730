// What the engine takes from other libraries can be led through functions of ours.
#pragma once

#include <cstddef>

namespace mnnlite {

struct Import {
  const char* name;
  void* function;
};

// In the shared library at `path`, and nowhere else in the process, calls of these names go to these functions from now
// on. Returns how many imports were replaced.
int replace_imports(const char* path, const Import* imports, size_t count) noexcept;

}  // namespace mnnlite
