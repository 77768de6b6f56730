// The drivers of GPUs on this machine, asked directly: the engine opens them itself and says nothing about what it found. No
// type of MNN.
#pragma once

#include <string>
#include <vector>

#include "engine/options.hpp"

namespace mnnlite {

struct GpuDevice {
  std::string name, version, driver;
};

// The devices that the engine would use, its own first; only OpenCL is asked. With none `reason` says why: the loader's words,
// or what the driver lacks.
std::vector<GpuDevice> gpu_devices(BackendKind kind, std::string& reason);

// Whether the engine in this file was built with a backend: the names of the driver's functions, which it looks up, are in it. It
// tells the lack of a driver and the lack of a backend in the same way.
bool is_built_with(BackendKind kind, const char* engine_path);

}  // namespace mnnlite
