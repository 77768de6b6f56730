// A model file in the engine's hands, until its buffer is released.
#pragma once

#include <cstddef>
#include <memory>

#include <MNN/Interpreter.hpp>

#include "core/status.hpp"

namespace mnnlite {

struct DestroyInterpreter {
  void operator()(MNN::Interpreter* interpreter) const noexcept { MNN::Interpreter::destroy(interpreter); }
};

class Net {
 public:
  // The file is mapped and copied once by the engine, so that the transient is one file and not two. `external` names
  // the file with the weights; null: `path` + ".weight" if there is one.
  static Status open_file(const char* path, const char* external, Net& result) noexcept;
  static Status open_bytes(const void* bytes, size_t size, const char* external, Net& result) noexcept;

  MNN::Interpreter& interpreter() const noexcept { return *interpreter_; }
  size_t buffer_bytes() const noexcept { return buffer_bytes_; }  // 0 once released
  size_t file_bytes() const noexcept { return file_bytes_; }
  const char* version() const noexcept { return version_; }  // of the converter, read before the buffer goes
  bool released() const noexcept { return buffer_bytes_ == 0; }
  void release_buffer() noexcept;

 private:
  std::unique_ptr<MNN::Interpreter, DestroyInterpreter> interpreter_;
  size_t buffer_bytes_ = 0, file_bytes_ = 0;
  char version_[32] = {};
};

}  // namespace mnnlite
