// How a runtime of the engine is made, and the words for it. No type of MNN.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.hpp"

namespace mnnlite {

enum class BackendKind : int32_t { cpu, opencl, opengl, vulkan };
enum class Level : int32_t { normal, high, low };  // of precision, memory use and power, in the engine's order
// How large tiles of Winograd convolutions may be, in the engine's numbers. Weights of a 3x3 convolution take (n + 2)^2 / 9 of
// their size with tiles of n x n outputs.
enum class Winograd : int32_t { none = 0, small = 1, large = 3 };  // no tiles; 2x2; up to 6x6, where that is faster
enum class Weights : int32_t { heap, mapped };                     // mapped: in files of their own, see weights.hpp
// What a GPU's kernels are tried with while a network is loaded, and what its tensors are.
enum class Tuning : int32_t { none, fast, wide, heavy };
enum class GpuMemory : int32_t { automatic, buffer, image };  // automatic: as the engine thinks best for the device

struct ArenaOptions {
  BackendKind backend = BackendKind::cpu;
  Level precision = Level::normal;
  Level memory = Level::normal;
  Level power = Level::normal;
  Winograd winograd = Winograd::large;
  Weights weights = Weights::heap;
  Tuning tuning = Tuning::none;  // this and the next: of GPUs alone
  GpuMemory gpu_memory = GpuMemory::automatic;
  int32_t threads = 1;           // of CPUs alone
  bool fallback_to_cpu = false;  // if the engine has no such backend
  std::string weights_folder;    // where files with the weights are made; only with Weights::mapped
};

// The table behind these is the only place where words of options are read and written; Python, pipelines and the command
// line ask it. A word that is not in it is an error.
std::vector<const char*> option_names();
// The words that an option takes, the usual one first.
Status option_words(const char* option, std::vector<const char*>& words);
Status set_option(ArenaOptions& options, const char* option, const char* word);
// Null for an option that is not there.
const char* word_of(const ArenaOptions& options, const char* option);

constexpr bool is_gpu(BackendKind kind) noexcept { return kind != BackendKind::cpu; }

// Refuses what the backend would take for something else, or would not notice.
Status check_options(const ArenaOptions& options);

// The number that the engine takes where a CPU's threads are said: bits of its MNNGpuMode, one of tuning and at most one of memory.
inline constexpr int32_t kGpuTuning[] = {1 << 0, 1 << 4, 1 << 2, 1 << 1};  // by Tuning
inline constexpr int32_t kGpuMemory[] = {0, 1 << 6, 1 << 7};               // by GpuMemory
int32_t gpu_mode(const ArenaOptions& options) noexcept;

// Where the engine runs a session, by the number that it gives for the session's main backend: a word of "backend", or "other".
const char* backend_word(int32_t forward_type) noexcept;

}  // namespace mnnlite
