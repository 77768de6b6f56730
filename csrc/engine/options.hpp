// How a runtime of the engine is made. No type of MNN.
#pragma once

#include <cstdint>
#include <string>

namespace mnnlite {

enum class BackendKind : int32_t { cpu, opencl, opengl, vulkan };
enum class Level : int32_t { normal, high, low };  // of precision, memory use and power, in the engine's order

struct ArenaOptions {
  BackendKind backend = BackendKind::cpu;
  Level precision = Level::normal;
  Level memory = Level::normal;
  Level power = Level::normal;
  int32_t threads = 1;
  bool fallback_to_cpu = false;  // if the engine has no such backend
  std::string weights_folder;    // where files with the weights are made; empty: weights stay on the heap
};

}  // namespace mnnlite
