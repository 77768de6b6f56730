// How a runtime of the engine is made. No type of MNN.
#pragma once

#include <cstdint>
#include <string>

namespace mnnlite {

enum class BackendKind : int32_t { cpu, opencl, opengl, vulkan };
enum class Level : int32_t { normal, high, low };  // of precision, memory use and power, in the engine's order
// How large tiles of Winograd convolutions may be, in the engine's numbers. Weights of a 3x3 convolution take (n + 2)^2 / 9 of
// their size with tiles of n x n outputs.
enum class Winograd : int32_t { none = 0, small = 1, large = 3 };  // no tiles; 2x2; up to 6x6, where that is faster

struct ArenaOptions {
  BackendKind backend = BackendKind::cpu;
  Level precision = Level::normal;
  Level memory = Level::normal;
  Level power = Level::normal;
  int32_t threads = 1;
  bool fallback_to_cpu = false;  // if the engine has no such backend
  Winograd winograd = Winograd::large;
  std::string weights_folder;    // where files with the weights are made; empty: weights stay on the heap
};

}  // namespace mnnlite
