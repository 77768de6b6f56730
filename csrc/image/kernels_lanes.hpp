// Where components lie in the bytes that a vector kernel loads for an output. Internal linkage, as kernels_scalar.hpp.
#pragma once

#include "image/kernels.hpp"

namespace mnnlite::image {
namespace {

// Where the components lie in the 8 bytes of an output: first neighbour's and second neighbour's, -1 for none.
template <Kind kind>
struct Lanes;
template <>
struct Lanes<Kind::c3s3> {
  static constexpr int count = 3;
  static constexpr int8_t first[4] = {0, 1, 2, -1}, second[4] = {3, 4, 5, -1};
};
template <>
struct Lanes<Kind::c3s4> {
  static constexpr int count = 3;
  static constexpr int8_t first[4] = {0, 1, 2, -1}, second[4] = {4, 5, 6, -1};
};
template <>
struct Lanes<Kind::c4s4> {
  static constexpr int count = 4;
  static constexpr int8_t first[4] = {0, 1, 2, 3}, second[4] = {4, 5, 6, 7};
};
template <>
struct Lanes<Kind::c2s4> {
  static constexpr int count = 2;
  static constexpr int8_t first[4] = {0, 2, -1, -1}, second[4] = {4, 6, -1, -1};
};

}  // namespace
}  // namespace mnnlite::image
