// What the other rooms see of an engine: one network that is ready to run. No type of MNN appears here, so a fake
// (fake_session.hpp) can stand in for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.hpp"
#include "core/views.hpp"

namespace mnnlite {

class ExclusiveLock;

// Outputs wanted from one run, by index. Those beyond the bits are not told apart: wanting one of them is wanting all.
using OutputMask = uint64_t;
constexpr OutputMask kAllOutputs = ~OutputMask{0};
constexpr size_t kOutputBits = 64;

constexpr OutputMask mask_of(size_t output) noexcept {
  return output < kOutputBits ? OutputMask{1} << output : kAllOutputs;
}
constexpr bool wants(OutputMask mask, size_t output) noexcept {
  return output < kOutputBits ? (mask >> output & 1) != 0 : mask == kAllOutputs;
}

// Memory terms of one session, in bytes. `dynamic_bytes` is what the session alone would need; sessions of one arena
// share one buffer as large as the largest of them.
struct SessionNeed {
  size_t static_bytes = 0;   // weights and everything else that lives as long as the session, outputs included
  size_t dynamic_bytes = 0;  // feature maps
  size_t input_bytes = 0;    // input tensors' memory, staging included
  size_t output_bytes = 0;   // output tensors' memory, already counted in static_bytes
  size_t file_bytes = 0;     // of static_bytes: weights that lie in a file, whose pages the kernel may drop
  bool counted = true;       // static and dynamic bytes are known: the engine does not count a GPU's
};

class Session {
 public:
  virtual ~Session() = default;

  virtual int input_count() const noexcept = 0;
  virtual int output_count() const noexcept = 0;

  // The memory that the network reads, in the network's own layout. Stays where it is between runs and is not consumed
  // by them.
  virtual TensorView input(int index) const noexcept = 0;
  // The same values in plain order (NCHW, NHWC or unstructured): input() itself where the layout is plain, otherwise
  // staging memory that each run packs into input(). Null data until stage_input() was called.
  virtual TensorView plain_input(int index) const noexcept = 0;
  virtual bool input_is_direct(int index) const noexcept = 0;
  virtual Status stage_input(int index) noexcept = 0;

  // Read this input from `memory` (64-byte aligned, stored_bytes(input(index)) of it, the caller's) from the next run on.
  // Its own memory for it is let go. Only before anybody has looked at the input's memory.
  virtual void use_input_memory(int index, void* memory) noexcept = 0;

  // Give an input another shape; outputs and their memory change with it, the input's memory only where it is too small.
  // With lock() held.
  virtual Status resize_input(int, const int32_t*) noexcept {
    return Status::error(Code::state, "this session's inputs cannot change their shape");
  }

  // The values of the last run that wanted this output, in plain order. Survives other sessions' runs.
  virtual TensorView output(int index) const noexcept = 0;

  // Runs the operators that the wanted outputs need. One call at a time, with lock() held by the caller.
  virtual Status run(OutputMask wanted) noexcept = 0;

  virtual SessionNeed need() const noexcept = 0;

  // Counts resizes: what was planned for the tensors of another generation does not fit these. lock() held.
  virtual uint32_t generation() const noexcept = 0;

  // Guards everything that shares memory with this session; whoever calls run() holds it.
  virtual ExclusiveLock& lock() noexcept = 0;
};

}  // namespace mnnlite
