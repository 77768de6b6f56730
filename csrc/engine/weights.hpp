// The large blocks of memory that the engine takes for a network are mappings of their own, so that the process has them
// back when the network goes, whatever became of its heaps.
//
// Weights in a file instead of in anonymous memory: the kernel may drop their pages when memory is short and reads them
// again when they are used. The engine has such a mode of its own, but it writes through a shared, sparse, named file:
// a full disk kills the process, two runtimes in one folder or a file that stayed spoil each other's weights, and sessions
// leave it before they create their weights. So the file is ours: without a name, written once with write(), private.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/status.hpp"
#include "engine/options.hpp"

namespace mnnlite {

// Lead the engine's allocations (its imports of malloc and its kin) through here. Once is enough; but where a Collect
// lives nothing else changes. False if they were not found.
bool lead_allocations() noexcept;

// Whether a file of weights can be made in `folder`: it is there and writable, and lies on a disk and not in memory.
Status check_weights_folder(const char* folder) noexcept;

// The same, and whether the engine's weights can be led there.
Status check_mapped_weights(const char* folder) noexcept;

// The large blocks that the engine allocated for one session.
class WeightBlocks {
 public:
  WeightBlocks() noexcept;

  // While one lives, large blocks that the engine allocates on this thread are mappings of their own and belong to
  // `blocks`; if they are to go to a file, smaller ones as well. They live until the engine frees them, whatever becomes
  // of `blocks`.
  class Collect {
   public:
    Collect(const WeightBlocks& blocks, Weights kind) noexcept;
    ~Collect();
    Collect(const Collect&) = delete;
    Collect& operator=(const Collect&) = delete;

   private:
    uint64_t owner_;  // of what was collected outside
    size_t least_;
  };

  // What the blocks hold goes to a new file in `folder` and is mapped from there, at the same addresses: pages that are
  // written later become anonymous again, the file is never written a second time. It has no name and ends with the
  // last block. On failure the blocks are as they were.
  Status move_to_file(const char* folder) noexcept;

  // While one lives, the first block of at least `bytes` that the engine allocates on this thread is told.
  class Watch {
   public:
    explicit Watch(size_t bytes) noexcept;
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    const void* block() const noexcept;  // null: there was none
    size_t size() const noexcept;
  };

  // While one lives, the engine gets `pages` when it allocates a block of exactly `size` bytes on this thread, once; it
  // frees them like any other block. They are a mapping of `pages_bytes`, and belong to what is being collected.
  class HandOver {
   public:
    HandOver(void* pages, size_t pages_bytes, size_t size) noexcept;
    ~HandOver();
    HandOver(const HandOver&) = delete;
    HandOver& operator=(const HandOver&) = delete;
    bool done() const noexcept;  // the pages are the engine's
  };

  size_t file_bytes() const noexcept;   // of the blocks that are still there
  std::vector<uint64_t> files() const;  // their inodes
  uint64_t owner() const noexcept { return owner_; }

 private:
  uint64_t owner_;
};

}  // namespace mnnlite
