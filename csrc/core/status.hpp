// How rooms report failure: plain data, no exceptions, nothing allocated.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>

namespace mnnlite {

// One enumerator per class of mnnlite/errors.py that native code can raise; python/ translates.
enum class Code : int32_t {
  ok = 0,
  argument,
  dtype,
  layout,
  model,
  model_not_found,
  model_format,
  tensor_not_found,
  unsupported_model,
  engine,
  engine_version,
  backend_unavailable,
  out_of_memory,
  state,
  closed,
  busy,
  decoder,
  decoder_abi,
};

struct [[nodiscard]] Status {
  Code code = Code::ok;
  int32_t engine_code = 0;  // the engine's own ErrorCode where it gave one
  char text[240];

  Status() noexcept { text[0] = '\0'; }  // nearly all are ok, and the rest of the text is not worth clearing
  bool ok() const noexcept { return code == Code::ok; }

  __attribute__((format(printf, 2, 3))) static Status error(Code code, const char* format, ...) noexcept {
    Status status;
    status.code = code;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(status.text, sizeof status.text, format, arguments);
    va_end(arguments);
    return status;
  }
};

// Leave the calling function with the status of `expression` unless it is ok.
#define MNNLITE_TRY(expression)                                                              \
  do {                                                                                       \
    if (::mnnlite::Status try_status_ = (expression); !try_status_.ok()) return try_status_; \
  } while (false)

}  // namespace mnnlite
