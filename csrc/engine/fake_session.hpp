// An engine without MNN, for tests of the rooms above: it computes something known, takes as long as asked, fails when
// asked, and spoils what a real engine's shared memory would spoil.
#pragma once

#include <memory>
#include <vector>

#include "core/memory.hpp"
#include "engine/exclusive_lock.hpp"
#include "engine/session.hpp"

namespace mnnlite {

// What several fake sessions share, as sessions of a real arena share theirs.
class FakeArena {
 public:
  // At most `limit` bytes for the shared buffer; a session that needs more is out of memory when it runs.
  explicit FakeArena(size_t limit = SIZE_MAX) : limit_(limit) {}

  ExclusiveLock& lock() noexcept { return lock_; }
  Status claim(size_t bytes, float** buffer) noexcept;
  void poison() noexcept;  // NaN all over the shared buffer

 private:
  ExclusiveLock lock_;
  Block shared_;
  size_t limit_;
};

struct FakeOptions {
  // Shape of the one input "x" and of each output; four axes are NCHW.
  std::vector<int32_t> dims = {1, 16};
  std::vector<int32_t> output_dims;  // of outputs that do not follow the input: its first elements, then zeros
  int32_t outputs = 1;               // output k is x * (k + 1), computed through the shared buffer
  size_t dynamic_bytes = 4096;       // at least one output's size is used
  int64_t latency_us = 0;            // of each run, slept
  int32_t operators = 1;             // of a run: before each it may be interrupted, and each computes its part
  int32_t fail_at_run = -1;          // the run (from 0) that returns an engine error
  bool poison_after_run = true;      // spoil the shared buffer, as another network's run would
};

class FakeSession final : public Session {
 public:
  static Status make(std::shared_ptr<FakeArena> arena, const FakeOptions& options,
                     std::unique_ptr<FakeSession>& result);

  int input_count() const noexcept override { return 1; }
  int output_count() const noexcept override { return options_.outputs; }
  TensorView input(int index) const noexcept override;
  TensorView plain_input(int index) const noexcept override { return input(index); }
  bool input_is_direct(int) const noexcept override { return true; }
  Status stage_input(int) noexcept override { return {}; }
  void use_input_memory(int, void* memory) noexcept override {
    input_ = Block{};
    given_ = memory;
  }
  TensorView output(int index) const noexcept override;
  Status run(OutputMask wanted) noexcept override;
  SessionNeed need() const noexcept override;
  uint32_t generation() const noexcept override { return generation_; }
  ExclusiveLock& lock() noexcept override { return arena_->lock(); }

  OutputMask wanted() const noexcept { return wanted_; }  // of the last run; 0 before the first

  // Another shape, and other memory, as after a real engine's resize. lock() held.
  Status resize(std::vector<int32_t> dims);

 private:
  FakeSession(std::shared_ptr<FakeArena> arena, const FakeOptions& options)
      : arena_(std::move(arena)), options_(options) {}

  static size_t elements_of(const std::vector<int32_t>& dims) noexcept;
  static TensorView view_of(const char* name, void* data, const std::vector<int32_t>& dims) noexcept;
  const std::vector<int32_t>& output_dims() const noexcept {
    return options_.output_dims.empty() ? options_.dims : options_.output_dims;
  }
  Status allocate();

  std::shared_ptr<FakeArena> arena_;
  FakeOptions options_;
  Block input_;
  void* given_ = nullptr;
  std::vector<Block> outputs_;
  int32_t runs_ = 0;
  OutputMask wanted_ = 0;
  uint32_t generation_ = 0;
};

}  // namespace mnnlite
