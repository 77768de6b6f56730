// A model file in the engine's hands, until its buffer is released.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <MNN/Interpreter.hpp>

#include "core/status.hpp"
#include "engine/model_file.hpp"

namespace mnnlite {

struct DestroyInterpreter {
  void operator()(MNN::Interpreter* interpreter) const noexcept { MNN::Interpreter::destroy(interpreter); }
};

class Net {
 public:
  // Verifies the model, then has the engine copy it; or take it, where `file` is the file that holds these bytes and not
  // null. That is empty then. `weights` is the open file with the weights, or one that is not open; the net keeps it until
  // the buffer is released.
  // `outputs`: only the branch that leads to these is going to be run; empty: all.
  static Status open(const void* bytes, size_t size, ModelFile* file, WeightsFile weights,
                     const std::vector<std::string>& outputs, Net& result) noexcept;

  MNN::Interpreter& interpreter() const noexcept { return *interpreter_; }
  size_t buffer_bytes() const noexcept { return buffer_bytes_; }  // 0 once released
  size_t file_bytes() const noexcept { return file_bytes_; }
  const char* version() const noexcept { return version_; }  // of the converter, read before the buffer goes
  bool released() const noexcept { return buffer_bytes_ == 0; }
  void release_buffer() noexcept;

 private:
  std::unique_ptr<MNN::Interpreter, DestroyInterpreter> interpreter_;
  WeightsFile weights_;
  size_t buffer_bytes_ = 0, file_bytes_ = 0;
  char version_[32] = {};
};

}  // namespace mnnlite
