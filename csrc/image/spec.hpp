// What a network wants of its picture, as plain data. The Python twin is mnnlite.ImageSpec.
#pragma once

#include <cstdint>

#include "core/status.hpp"

namespace mnnlite {

enum class Fit : int32_t { stretch, letterbox, crop };
enum class Anchor : int32_t { center, top_left, bottom };
enum class Color : int32_t { rgb, bgr, rgba, bgra, gray };
enum class Filter : int32_t { nearest, bilinear, area };

constexpr int32_t kMaxSide = 16384;  // of a network's input

constexpr int32_t channels_of(Color color) noexcept {
  return color == Color::gray ? 1 : color == Color::rgb || color == Color::bgr ? 3 : 4;
}

struct ImageSpec {
  int32_t width = 0, height = 0;  // network pixels; 0: the tensor's own
  Fit fit = Fit::stretch;
  Anchor anchor = Anchor::center;
  Color color = Color::rgb;  // the order of channels in the tensor
  Filter filter = Filter::bilinear;
  int32_t multiple = 0;  // letterbox: the tensor may be any multiple of this that holds the picture
  // y = (p - mean) / std; all three in the order of `color`, p in [0, 255] whatever the frame's bits.
  double mean[4] = {0, 0, 0, 0};
  double std[4] = {1, 1, 1, 1};
  double pad[4] = {0, 0, 0, 0};
  // Overrides; unset: the tensor's own.
  int32_t dtype = 0;    // enum mnnlite_dtype
  int32_t layout = -1;  // enum mnnlite_layout
  double scale = 0;     // integers: q = round(y / scale) + zero_point
  int32_t zero_point = 0;
  bool has_zero_point = false;
};

// The same pixels make the same values.
bool operator==(const ImageSpec& a, const ImageSpec& b) noexcept;

// What mnnlite.ImageSpec checks too: for callers that come without it.
Status check_spec(const ImageSpec& spec) noexcept;

// Network size for a region of this size in pixels; differs from the spec's only with `multiple`.
void network_size(const ImageSpec& spec, double region_width, double region_height, int32_t& width,
                  int32_t& height) noexcept;

}  // namespace mnnlite
