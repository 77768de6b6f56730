// Files of a model, each opened once: what is checked is what is loaded, whatever happens to the name meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.hpp"

namespace mnnlite {

// The content of a model file, read into memory of ours: a mapping would change under us when somebody writes the file.
// It lies in pages of its own, with room around it for what the engine's allocator keeps beside a block, so that the
// engine can have them in place of a copy (WeightBlocks::HandOver).
class ModelFile {
 public:
  static constexpr size_t kRoom = 64;  // bytes before the content and, at least, behind it

  ModelFile() = default;
  ModelFile(ModelFile&& other) noexcept;
  ModelFile& operator=(ModelFile&& other) noexcept;
  ~ModelFile();

  static Status read(const char* path, ModelFile& result) noexcept;

  const void* data() const noexcept { return pages_ ? static_cast<const char*>(pages_) + kRoom : nullptr; }
  size_t size() const noexcept { return size_; }

  void* pages() const noexcept { return pages_; }
  size_t pages_bytes() const noexcept { return pages_bytes_; }
  void leave_pages() noexcept { pages_ = nullptr, pages_bytes_ = size_ = 0; }  // they are somebody else's

 private:
  void* pages_ = nullptr;
  size_t pages_bytes_ = 0;
  size_t size_ = 0;
};

// The file with a model's weights, open. The engine opens it again by descriptor_path(), which leads to the same file
// even if another one has taken its name.
class WeightsFile {
 public:
  WeightsFile() = default;
  WeightsFile(WeightsFile&& other) noexcept;
  WeightsFile& operator=(WeightsFile&& other) noexcept;
  ~WeightsFile();

  static Status open(const char* path, WeightsFile& result) noexcept;

  bool is_open() const noexcept { return descriptor_ >= 0; }
  int descriptor() const noexcept { return descriptor_; }
  int64_t size() const noexcept { return size_; }
  const char* descriptor_path() const noexcept { return path_; }
  // Whether the first `bytes` are nothing but zeros, as in a file whose blocks were never written.
  Status check_written(int64_t bytes) const noexcept;

 private:
  int descriptor_ = -1;
  int64_t size_ = 0;
  char path_[40] = {};
};

}  // namespace mnnlite
