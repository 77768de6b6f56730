// Numbers of an attribute that is being verified: what is possible, and what is said of those that are not.
#pragma once

#include "engine/verify_operator.hpp"

namespace mnnlite {

constexpr int32_t kMostSide = 65535;

inline bool within(int64_t value, int64_t least, int64_t most) noexcept { return value >= least && value <= most; }
inline bool all_within(const Values<int32_t>& values, int32_t least, int32_t most) noexcept {
  for (uint32_t i = 0; i < values.size(); ++i)
    if (!within(values[i], least, most)) return false;
  return true;
}

constexpr Fault kShort = "a vector of its attribute is missing or too short";
constexpr Fault kNumber = "a number of its attribute is not possible";

}  // namespace mnnlite
