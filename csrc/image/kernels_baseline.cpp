// The kernels that run on every CPU of the architecture.
#include <cstring>

#include "image/kernels.hpp"
#include "image/kernels_scalar.hpp"

namespace mnnlite::image {
namespace {

#include "image/kernels_stream.inl"

template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  uint16_t* to = static_cast<uint16_t*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = scalar::half_of(static_cast<float>(v[i]) * k + b);
}

}  // namespace

const Kernels kBaselineKernels = {
    kStream,
    Isa::baseline,
    0,
    {scalar::sample_row<uint8_t, 1, 1, 1>, scalar::sample_row<uint8_t, 1, 1, 2>, scalar::sample_row<uint8_t, 2, 1, 2>,
     scalar::sample_row<uint8_t, 2, 2, 4>, scalar::sample_row<uint8_t, 3, 1, 3>, scalar::sample_row<uint8_t, 3, 1, 4>,
     scalar::sample_row<uint8_t, 4, 1, 4>, scalar::sample_row<uint16_t, 1, 2, 2>, scalar::sample_row<uint16_t, 3, 2, 6>,
     scalar::sample_row<uint16_t, 3, 2, 8>, scalar::sample_row<uint16_t, 4, 2, 8>},
    {},
    {},
    {scalar::warp_row<uint8_t, 1, 1, 1>, scalar::warp_row<uint8_t, 1, 1, 2>, scalar::warp_row<uint8_t, 2, 1, 2>,
     scalar::warp_row<uint8_t, 2, 2, 4>, scalar::warp_row<uint8_t, 3, 1, 3>, scalar::warp_row<uint8_t, 3, 1, 4>,
     scalar::warp_row<uint8_t, 4, 1, 4>, scalar::warp_row<uint16_t, 1, 2, 2>, scalar::warp_row<uint16_t, 3, 2, 6>,
     scalar::warp_row<uint16_t, 3, 2, 8>, scalar::warp_row<uint16_t, 4, 2, 8>},
    {},
};

}  // namespace mnnlite::image
