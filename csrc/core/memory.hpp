// Aligned memory that the process owns: tensors' own buffers and the scratch of plans.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace mnnlite {

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register in use

// A move-only block. `reserve` is the only place that allocates, so what is called per frame and only
// uses `data()` provably does not.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { std::free(data_); }

  // At least `size` bytes; contents are lost when it grows. False if there is no memory.
  [[nodiscard]] bool reserve(size_t size) noexcept {
    if (size <= size_) return true;
    std::free(std::exchange(data_, nullptr));
    size_ = 0;
    const size_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
    if (::posix_memalign(&data_, kAlignment, rounded) != 0) {
      data_ = nullptr;
      return false;
    }
    size_ = rounded;
    return true;
  }

  void* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

using Scratch = Block;

}  // namespace mnnlite
