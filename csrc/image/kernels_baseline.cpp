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
    Isa::baseline,
    {scalar::sample_row<uint8_t, 1, 1, 1>, scalar::sample_row<uint8_t, 1, 1, 2>, scalar::sample_row<uint8_t, 2, 1, 2>,
     scalar::sample_row<uint8_t, 2, 2, 4>, scalar::sample_row<uint8_t, 3, 1, 3>, scalar::sample_row<uint8_t, 3, 1, 4>,
     scalar::sample_row<uint8_t, 4, 1, 4>, scalar::sample_row<uint16_t, 1, 2, 2>, scalar::sample_row<uint16_t, 3, 2, 6>,
     scalar::sample_row<uint16_t, 3, 2, 8>, scalar::sample_row<uint16_t, 4, 2, 8>},
    {},
    nullptr,
    {},
    {},
    {},
    {},
    {scalar::warp_row<uint8_t, 1, 1, 1>, scalar::warp_row<uint8_t, 1, 1, 2>, scalar::warp_row<uint8_t, 2, 1, 2>,
     scalar::warp_row<uint8_t, 2, 2, 4>, scalar::warp_row<uint8_t, 3, 1, 3>, scalar::warp_row<uint8_t, 3, 1, 4>,
     scalar::warp_row<uint8_t, 4, 1, 4>, scalar::warp_row<uint16_t, 1, 2, 2>, scalar::warp_row<uint16_t, 3, 2, 6>,
     scalar::warp_row<uint16_t, 3, 2, 8>, scalar::warp_row<uint16_t, 4, 2, 8>},
    project,
    to_fixed,
    warp_taps,
    {add_area_u8, add_area_u16},
    {narrow_area_u8, narrow_area_u16},
    reduce_area,
    yuv_to_rgb,
    yuv_to_gray,
    rgb_to_gray,
    {store_f32<false>, store_f16<false>, store_real<uint8_t, false>, store_real<int8_t, false>,
     store_exact<uint8_t, false>, store_exact<int8_t, false>},
    {store_f32<true>, store_f16<true>, store_real<uint8_t, true>, store_real<int8_t, true>, store_exact<uint8_t, true>,
     store_exact<int8_t, true>},
    {{store_pixels_f32<float, 3>, nullptr, store_pixels_real<uint8_t, 3>, store_pixels_real<int8_t, 3>,
      store_pixels_exact<uint8_t, 3>, store_pixels_exact<int8_t, 3>},
     {store_pixels_f32<float, 4>, nullptr, store_pixels_real<uint8_t, 4>, store_pixels_real<int8_t, 4>,
      store_pixels_exact<uint8_t, 4>, store_pixels_exact<int8_t, 4>}},
};

}  // namespace mnnlite::image
