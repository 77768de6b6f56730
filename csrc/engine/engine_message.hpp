// The engine's last words as the end of an error text: "; MNN said: ...", on one line, or nothing.
#pragma once

#include <cstring>

#include "engine/log_capture.hpp"

namespace mnnlite {

class EngineMessage {
 public:
  explicit EngineMessage(const LogCapture& log) noexcept {
    const char* text = log.text();
    // The banner that the engine prints once per process says nothing about this error.
    if (const char* banner = std::strstr(text, "The device supports:")) {
      const char* end = std::strchr(banner, '\n');
      if (banner == text && end) text = end + 1;
    }
    while (*text == '\n' || *text == ' ') ++text;
    if (*text == 0) return;
    size_t length = 0;
    for (const char* lead = "; MNN said: "; *lead; ++lead) text_[length++] = *lead;
    for (; *text && length + 1 < sizeof text_; ++text) text_[length++] = *text == '\n' ? ' ' : *text;
    while (length > 0 && text_[length - 1] == ' ') --length;
    text_[length] = 0;
  }
  const char* text() const noexcept { return text_; }

 private:
  char text_[200] = {};
};

}  // namespace mnnlite
