// Weights in a file instead of in anonymous memory: the kernel may drop their pages when memory is short and reads them
// again when they are used. The engine has such a mode of its own, but it writes through a shared, sparse, named file:
// a full disk kills the process, two runtimes in one folder or a file that stayed spoil each other's weights, and sessions
// leave it before they create their weights. So the file is ours: without a name, written once with write(), private.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/status.hpp"

namespace mnnlite {

// Lead the engine's allocations (its imports of malloc and its kin, in the library at `path`) through here. Once is
// enough; until a WeightBlocks lives, nothing else changes. False if they were not found.
bool lead_allocations(const char* path) noexcept;

// Whether a file of weights can be made in `folder`: it is there and writable, and lies on a disk and not in memory.
Status check_weights_folder(const char* folder) noexcept;

// The large blocks that the engine allocated for one session.
class WeightBlocks {
 public:
  WeightBlocks() noexcept;

  // While one lives, large blocks that the engine allocates on this thread are mappings of their own and belong to
  // `blocks`. They live until the engine frees them, whatever becomes of `blocks`.
  class Collect {
   public:
    explicit Collect(WeightBlocks* blocks) noexcept;  // null: nothing is collected
    ~Collect();
    Collect(const Collect&) = delete;
    Collect& operator=(const Collect&) = delete;

   private:
    WeightBlocks* outer_;
  };

  // What the blocks hold goes to a new file in `folder` and is mapped from there, at the same addresses: pages that are
  // written later become anonymous again, the file is never written a second time. It has no name and ends with the
  // last block. On failure the blocks are as they were.
  Status move_to_file(const char* folder) noexcept;

  size_t file_bytes() const noexcept;   // of the blocks that are still there
  std::vector<uint64_t> files() const;  // their inodes
  uint64_t owner() const noexcept { return owner_; }

 private:
  uint64_t owner_;
};

}  // namespace mnnlite
