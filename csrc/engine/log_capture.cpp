#include "engine/log_capture.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "engine/got_hook.hpp"

namespace mnnlite {
namespace {

thread_local LogCapture* current = nullptr;

int engine_vprintf(const char* format, va_list arguments) {
  if (!current) return std::vprintf(format, arguments);
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  if (length > 0) current->append(line, std::min(static_cast<size_t>(length), sizeof line - 1));
  return length;
}

__attribute__((format(printf, 1, 2))) int engine_printf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = engine_vprintf(format, arguments);
  va_end(arguments);
  return length;
}

// glibc's checked variant, called by code built with _FORTIFY_SOURCE.
__attribute__((format(printf, 2, 3))) int engine_printf_chk(int, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = engine_vprintf(format, arguments);
  va_end(arguments);
  return length;
}

int engine_puts(const char* text) {
  if (!current) return std::puts(text);
  current->append(text, std::strlen(text));
  current->append("\n", 1);
  return 1;
}

int engine_putchar(int character) {
  if (!current) return std::putchar(character);
  const char byte = static_cast<char>(character);
  current->append(&byte, 1);
  return character;
}

const GotHook kReplacements[] = {
    {"printf", reinterpret_cast<void*>(&engine_printf)},
    {"__printf_chk", reinterpret_cast<void*>(&engine_printf_chk)},
    {"vprintf", reinterpret_cast<void*>(&engine_vprintf)},
    {"puts", reinterpret_cast<void*>(&engine_puts)},
    {"putchar", reinterpret_cast<void*>(&engine_putchar)},
};

}  // namespace

int redirect_engine_log(const char* path) noexcept {
  return install_got_hooks(path, kReplacements, std::size(kReplacements));
}

LogCapture::LogCapture() noexcept : outer_(current) {
  text_[0] = 0;
  current = this;
}

LogCapture::~LogCapture() {
  current = outer_;
  if (outer_ && length_ > 0) outer_->append(text_, length_);
}

void LogCapture::append(const char* text, size_t length) noexcept {
  const size_t fits = std::min(length, sizeof text_ - 1 - length_);
  std::memcpy(text_ + length_, text, fits);
  length_ += fits;
  text_[length_] = 0;
}

}  // namespace mnnlite
