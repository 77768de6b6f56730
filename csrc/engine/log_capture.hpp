// The engine talks by printf. Its calls are led through here, so that a user's stdout stays the user's and the engine's
// last words can reach an error message.
#pragma once

#include <cstddef>

namespace mnnlite {

// Redirect the imports of printf and its kin in the shared library at `path` (and nowhere else in the process). Returns
// how many imports were redirected. Outside a LogCapture they print as before, e.g. for MNN's own Python package.
int redirect_engine_log(const char* path) noexcept;

// While one lives, what the engine prints on this thread is kept instead of printed; at its end it passes to the one
// around it. Costs a few stores, so it is used around every call.
class LogCapture {
 public:
  LogCapture() noexcept;
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  // Everything so far (cut at the capacity), terminated.
  const char* text() const noexcept { return text_; }
  void append(const char* text, size_t length) noexcept;

 private:
  LogCapture* outer_;
  size_t length_ = 0;
  char text_[4096];
};

}  // namespace mnnlite
