// The largest of several planes, pixel by pixel, without saying which: the first look at a head of many classes.
#pragma once

#include <cstdint>

namespace mnnlite {

// best[i] = max over the `channels` planes, `stride` values apart, of value i. False if one is NaN or infinite.
bool plane_max(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best) noexcept;

// Indices of the values that are larger than `cut`, in order. Returns how many; `out` has room for `count`.
int32_t above(const float* values, int32_t count, float cut, int32_t* out) noexcept;

}  // namespace mnnlite
