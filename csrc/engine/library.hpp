// The engine that was found: its version, and whether it is laid out as these sources believe.
#pragma once

#include <cstddef>

#include "core/status.hpp"

namespace mnnlite {

const char* engine_version() noexcept;

// File of the engine that the process has loaded.
const char* engine_path() noexcept;

// A network of two operators, as a file holds it.
struct ProbeModel {
  const unsigned char* data;
  size_t size;
};
ProbeModel probe_model() noexcept;

// The std::string ABI this was compiled with: 0 old, 1 new. The engine's, or nothing would have been found.
int string_abi() noexcept;

// Version range and memory layout, probed through the engine's own functions: a tensor whose shape, size and memory are
// read back, and a tiny model whose thread number and branch are.
Status check_engine() noexcept;

}  // namespace mnnlite
