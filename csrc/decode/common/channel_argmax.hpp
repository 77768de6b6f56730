// The largest of several planes, pixel by pixel, and which one it is: the bulk of segmentation and of heads of many
// classes.
#pragma once

#include <cstdint>

namespace mnnlite {

// best[i] and index[i] are those of the first largest of `channels` values, `stride` apart. `best` may be null. False if
// a value is NaN or infinite; the results mean nothing then. Exact on every instruction set. The bound is one read.
bool channel_argmax(const float* planes, int32_t channels, int64_t stride, int32_t count, float* best,
                    int32_t* index) noexcept;

// The same into bytes, for at most 255 channels and any count.
bool channel_argmax_bytes(const float* planes, int32_t channels, int64_t stride, int64_t count, uint8_t* out) noexcept;

// The other way: best[c] and index[c] are those of the first largest of channel c, the channels of each of `count` pixels
// side by side. `count` and `channels` are at least 1; false as above.
bool interleaved_maxima(const float* pixels, int32_t count, int32_t channels, float* best, int32_t* index) noexcept;

// Indices of the values that are larger than `cut`, in order. Returns how many; `out` has room for `count`.
int32_t above(const float* values, int32_t count, float cut, int32_t* out) noexcept;

}  // namespace mnnlite
