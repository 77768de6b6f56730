// The largest of a row of numbers that lie side by side.
#pragma once

#include <cstdint>

namespace mnnlite {

struct RowMax {
  float value;
  int32_t index;  // the first of equal ones
  bool finite;    // false if one of the numbers is NaN or infinite; value and index mean nothing then
};

// `count` is at least 1.
RowMax row_max(const float* values, int32_t count) noexcept;

}  // namespace mnnlite
