// The one place where what MNN returns becomes a Status.
#pragma once

#include <MNN/ErrorCode.hpp>

#include "core/status.hpp"
#include "engine/engine_message.hpp"

namespace mnnlite {

inline Status mnn_status(MNN::ErrorCode code, const char* what, const LogCapture& log) noexcept {
  if (code == MNN::NO_ERROR) return {};
  Status status;
  switch (code) {
    case MNN::OUT_OF_MEMORY:
      status = Status::error(Code::out_of_memory, "the engine got no memory to %s%s", what, EngineMessage(log).text());
      break;
    case MNN::NOT_SUPPORT:
    case MNN::NO_EXECUTION:
      status = Status::error(Code::unsupported_model,
                             "the engine cannot %s: an operator has no implementation (MNN code %d)%s", what,
                             static_cast<int>(code), EngineMessage(log).text());
      break;
    default:
      status = Status::error(Code::engine, "the engine failed to %s (MNN code %d)%s", what, static_cast<int>(code),
                             EngineMessage(log).text());
  }
  status.engine_code = static_cast<int32_t>(code);
  return status;
}

}  // namespace mnnlite
