#include "image/kernels.hpp"

namespace mnnlite::image {

const Kernels& kernels_of(Isa isa) noexcept {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::sse41: return kSse41Kernels;
    case Isa::avx2: return kAvx2Kernels;
#elif defined(__aarch64__)
    case Isa::neon: return kNeonKernels;
#endif
    default: return kBaselineKernels;
  }
}

}  // namespace mnnlite::image
