// Memory in whole pages, as the kernel maps it.
#pragma once

#include <unistd.h>

#include <cstddef>

namespace mnnlite {

inline size_t page_size() noexcept {
  static const size_t size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

inline size_t whole_pages(size_t size) noexcept { return (size + page_size() - 1) / page_size() * page_size(); }

}  // namespace mnnlite
