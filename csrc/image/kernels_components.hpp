// Where components lie in the bytes that a vector kernel loads for an output. Internal linkage, as kernels_scalar.hpp.
#pragma once

#include "image/kernels.hpp"

namespace mnnlite::image {
namespace {

// Of pixels in 8 bytes: how many components, how far from one to the next, how far from a pixel to its neighbour.
template <Kind kind>
struct ComponentBytes;
template <>
struct ComponentBytes<Kind::c3s3> {
  static constexpr int count = 3, spacing = 1, step = 3;
};
template <>
struct ComponentBytes<Kind::c3s4> {
  static constexpr int count = 3, spacing = 1, step = 4;
};
template <>
struct ComponentBytes<Kind::c4s4> {
  static constexpr int count = 4, spacing = 1, step = 4;
};
template <>
struct ComponentBytes<Kind::c2s4> {
  static constexpr int count = 2, spacing = 2, step = 4;
};

}  // namespace
}  // namespace mnnlite::image
