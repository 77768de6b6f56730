// Where a region lies in the network's input and which frame pixels it shows. Doubles here, whole numbers after it.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/mapping.hpp"
#include "image/spec.hpp"

namespace mnnlite {

// Region pixels [0, width) x [0, height) -> frame pixels.
struct Region {
  Mapping to_frame;
  double width = 0, height = 0;
};

}  // namespace mnnlite

namespace mnnlite::image {

constexpr int kPositionBits = 11;  // positions are in 1/2048 of a pixel
constexpr int32_t kOne = 1 << kPositionBits;

// The whole network pixels that the region covers; beside them is padding. And network pixel -> region pixel.
struct Placement {
  int32_t left, top, width, height;
  Mapping to_region;
};

/// @see mnnlite.reference.image.place
Placement place(const ImageSpec& spec, const Region& region, int32_t width, int32_t height) noexcept;

/// Network pixel -> frame pixel; an affine map is divided by its last element.
Mapping network_to_frame(const Region& region, const Placement& placed) noexcept;

/// A position in 1/2048 pixel, rounded; what is absurdly far away or not a number becomes -2^40.
/// @see mnnlite.reference.image.fixed
inline int64_t fixed(double position) noexcept {
  const double scaled = position * kOne + 0.5;
  if (!(std::fabs(scaled) < 1099511627776.0)) return -1099511627776;
  const auto whole = static_cast<int64_t>(scaled);  // towards zero; std::floor is a function call on the oldest CPUs
  return whole - (static_cast<double>(whole) > scaled);
}

// First and last pixel that may be sampled.
struct Bounds {
  int32_t first, last;
  Bounds halved(int shift) const noexcept { return {first >> shift, last >> shift}; }
};

/// Frame pixels that an axis-aligned region from `start` to `end` touches, within [0, size).
Bounds tap_bounds(double start, double end, int32_t size) noexcept;

/// The region whose corners are these frame pixels: x, y of top-left, top-right, bottom-right, bottom-left. Its size is
/// the mean length of opposite sides. A parallelogram gives an affine map, an axis-aligned rectangle the map of a roi.
Status region_of_quad(const double points[8], Region& region) noexcept;

/// Finite, not empty, and within reach of whole-number positions.
Status check_region(const Region& region) noexcept;

}  // namespace mnnlite::image
