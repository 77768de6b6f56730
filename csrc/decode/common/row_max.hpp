// The largest of a row of numbers that lie side by side.
#pragma once

#include <cstdint>
#include <limits>

namespace mnnlite {

struct RowMax {
  float value;
  int32_t index;  // the first of equal ones
  bool finite;    // false if one of the numbers is NaN or infinite; value and index mean nothing then
};

// `count` is at least 1. Where nothing is larger than `cut`, which it is may be left unsaid: the value is no more than
// `cut` then and the index means nothing.
RowMax row_max(const float* values, int32_t count, float cut = -std::numeric_limits<float>::infinity()) noexcept;

}  // namespace mnnlite
