// Whether a model file is safe to hand to the engine, which believes what it reads: a wrong index, a missing attribute or
// a short vector makes it read or write where it must not. Nothing of MNN is used here, and nothing is executed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/status.hpp"

namespace mnnlite {

struct VerifyOptions {
  int64_t external_bytes = -1;       // of the file with the weights; -1: there is none
  std::vector<std::string> outputs;  // only the branch that leads to these is run; empty: all
  int32_t last_type = -1;  // operators above this number are unknown to the engine in use and not refused; -1: ours
};

struct VerifiedModel {
  size_t operators = 0, tensors = 0;
  int64_t external_bytes = 0;  // how much of the file with the weights is used: 0 if the weights are in the model
};

// model_format with the operator and what is wrong with it; unsupported_model where shapes depend on content.
Status verify_model(const void* data, size_t size, const VerifyOptions& options, VerifiedModel& result) noexcept;

}  // namespace mnnlite
