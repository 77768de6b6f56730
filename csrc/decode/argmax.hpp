// Per pixel, the channel with the largest value: the bulk of segmentation.
#pragma once

#include <cstdint>

namespace mnnlite {

// `planes`: `channels` (1 to 255) planes of `count` values, `stride` values apart. Ties go to the lower channel.
// False if a value is NaN or infinite; `out` is unspecified then. Exact on every instruction set.
bool argmax_planes(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept;

}  // namespace mnnlite
