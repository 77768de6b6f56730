#include "decode/common/kernels.hpp"

#include "decode/common/isa.hpp"

namespace mnnlite {

const DecodeKernels& decode_kernels_of(Isa isa) noexcept {
#if MNNLITE_DECODE_AVX2
  if (isa == Isa::avx2) return kDecodeAvx2;
#endif
  (void)isa;
  return kDecodeBaseline;
}

bool channel_argmax(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best,
                    int32_t* index) noexcept {
  return decode_kernels().channel_argmax(planes, channels, stride, count, best, index);
}

bool channel_argmax_bytes(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept {
  return decode_kernels().channel_argmax_bytes(planes, channels, stride, count, out);
}

bool interleaved_maxima(const float* pixels, int32_t count, int32_t channels, float* best, int32_t* index) noexcept {
  return decode_kernels().interleaved_maxima(pixels, count, channels, best, index);
}

int32_t above(const float* values, int32_t count, float cut, int32_t* out) noexcept {
  return decode_kernels().above(values, count, cut, out);
}

RowMax row_max(const float* values, int32_t count, float cut) noexcept {
  return decode_kernels().row_max(values, count, cut);
}

}  // namespace mnnlite
