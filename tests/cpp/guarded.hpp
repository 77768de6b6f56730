// Memory between two pages that nobody may touch: a read or write beyond either end is a crash.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace mnnlite {

class Guarded {
 public:
  // `at_end`: the last byte lies before the upper guard; otherwise the first lies after the lower one.
  Guarded(size_t size, bool at_end) : size_(size) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (size + page - 1) / page * page + (size == 0 ? page : 0);
    length_ = inner + 2 * page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + page, inner, PROT_READ | PROT_WRITE);
    data_ = base_ + page + (at_end ? inner - size : 0);
  }
  ~Guarded() { munmap(base_, length_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  void freeze() { mprotect(base_, length_, PROT_READ); }

 private:
  uint8_t* base_ = nullptr;
  uint8_t* data_ = nullptr;
  size_t size_ = 0, length_ = 0;
};

}  // namespace mnnlite
