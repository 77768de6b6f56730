// Backend kinds and their configuration. Declarations for mnnlite, see ../../README.md.
#ifndef MNNLITE_MNN_FORWARD_TYPE_H
#define MNNLITE_MNN_FORWARD_TYPE_H

#include <cstddef>

typedef enum {
  MNN_FORWARD_CPU = 0,
  MNN_FORWARD_OPENCL = 3,
  MNN_FORWARD_OPENGL = 6,
  MNN_FORWARD_VULKAN = 7,
  MNN_FORWARD_CPU_EXTENSION = 13,    // CPU with AVX2 or half-float kernels; reported, never asked for
  MNN_FORWARD_HIGHEST_ = 0x7fffffff  // an enum as wide as the engine's
} MNNForwardType;

// Bits that take the place of a number of threads on a GPU.
typedef enum {
  MNN_GPU_TUNING_NONE = 1 << 0,
  MNN_GPU_TUNING_HEAVY = 1 << 1,
  MNN_GPU_TUNING_WIDE = 1 << 2,
  MNN_GPU_TUNING_FAST = 1 << 4,
  MNN_GPU_MEMORY_BUFFER = 1 << 6,
  MNN_GPU_MEMORY_IMAGE = 1 << 7,
} MNNGpuMode;

namespace MNN {

struct BackendConfig {
  enum MemoryMode { Memory_Normal = 0, Memory_High, Memory_Low };
  enum PowerMode { Power_Normal = 0, Power_High, Power_Low };
  enum PrecisionMode { Precision_Normal = 0, Precision_High, Precision_Low };

  MemoryMode memory = Memory_Normal;
  PowerMode power = Power_Normal;
  PrecisionMode precision = Precision_Normal;
  union {
    void* sharedContext = nullptr;
    size_t flags;
  };
};

enum RuntimeStatus { STATUS_SUPPORT_FP16, STATUS_SUPPORT_DOT_PRODUCT, STATUS_SUPPORT_POWER_LOW };

}  // namespace MNN
#endif
