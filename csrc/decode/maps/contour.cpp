#include "decode/maps/contour.hpp"

#include <algorithm>
#include <cstring>

#include "decode/maps/class_map.hpp"

namespace mnnlite {
namespace {

enum { kUp, kRight, kDown, kLeft };
constexpr int32_t kStepX[4] = {0, 1, 0, -1}, kStepY[4] = {-1, 0, 1, 0};

// Walks once around a ring. `pixels` has a border of one kIgnoreLabel pixel and rows of `pitch` bytes; (x, y) counts without
// the border. `left_edge(x, y)` is called for each left edge of an area's pixel, `corner(x, y)` at each turn. Returns
// the area to the right.
template <class LeftEdge, class Corner>
int64_t walk(const uint8_t* pixels, ptrdiff_t pitch, int32_t start_x, int32_t start_y, LeftEdge left_edge,
             Corner corner) noexcept {
  const uint8_t* origin = pixels + pitch + 1;
  const uint8_t value = origin[start_y * pitch + start_x];
  // The pixels ahead of a vertex, to the left and to the right of the way, relative to the pixel below and right of it.
  const ptrdiff_t ahead_left[4] = {-pitch - 1, -pitch, 0, -1}, ahead_right[4] = {-pitch, 0, -1, -pitch - 1};
  int32_t x = start_x, y = start_y + 1;
  int direction = kUp;
  int64_t area = 0;
  do {
    if (direction == kUp) {
      left_edge(x, y - 1);
      area -= x;
    } else if (direction == kDown) {
      area += x;
    }
    x += kStepX[direction];
    y += kStepY[direction];
    const uint8_t* at = origin + y * pitch + x;
    if (at[ahead_left[direction]] == value) {
      corner(x, y);
      direction = (direction + 3) & 3;
    } else if (at[ahead_right[direction]] != value) {
      corner(x, y);
      direction = (direction + 1) & 3;
    }
  } while (x != start_x || y != start_y + 1 || direction != kUp);
  return area;
}

}  // namespace

void ContourFinder::plan(Needs& needs, int32_t width, int32_t height, int32_t max_rings) noexcept {
  max_rings_ = std::min(max_rings, 65534);
  const int64_t padded = (int64_t{width} + 2) * (int64_t{height} + 2) + 8;
  padded_ = needs.scratch<uint8_t>(padded);
  marks_ = needs.scratch<uint16_t>(padded);
  rings_ = needs.scratch<Ring>(max_rings_);
}

const Ring* ContourFinder::find(const Call& call, const uint8_t* map, int32_t width, int32_t height, int32_t skip,
                                int32_t& count, bool& truncated) const noexcept {
  uint8_t* pixels = call.at<uint8_t>(padded_);
  uint16_t* marks = call.at<uint16_t>(marks_);  // of left edges: 1 + the ring they belong to
  Ring* rings = call.at<Ring>(rings_);
  const ptrdiff_t pitch = width + 2;
  std::memset(pixels, kIgnoreLabel, static_cast<size_t>(pitch) + 1);
  for (int32_t y = 0; y < height; ++y) {
    uint8_t* row = pixels + (y + 1) * pitch;
    row[0] = row[width + 1] = kIgnoreLabel;
    std::memcpy(row + 1, map + int64_t{y} * width, static_cast<size_t>(width));
  }
  std::memset(pixels + (height + 1) * pitch, kIgnoreLabel, static_cast<size_t>(pitch) + 8);
  std::memset(marks, 0, static_cast<size_t>(pitch * (height + 2)) * sizeof(uint16_t));
  count = 0;
  truncated = false;
  for (int32_t y = 0; y < height; ++y) {
    const uint8_t* row = pixels + (y + 1) * pitch + 1;
    uint16_t* row_marks = marks + (y + 1) * pitch + 1;
    for (int32_t x = 0; x < width;) {
      uint64_t here, before;
      std::memcpy(&here, row + x, 8);
      std::memcpy(&before, row + x - 1, 8);
      if (here == before) {  // eight pixels without an edge
        x += 8;
        continue;
      }
      for (const int32_t end = std::min(x + 8, width); x < end; ++x) {
        if (row[x] == row[x - 1] || row[x] == kIgnoreLabel || row[x] == skip || row_marks[x] != 0) continue;
        if (count == max_rings_) {
          truncated = true;
          return rings;
        }
        Ring& ring = rings[count++];
        ring = {x, y, row[x], -1, 0};
        const uint16_t mark = static_cast<uint16_t>(count);
        ring.pixels = walk(
            pixels, pitch, x, y, [&](int32_t u, int32_t v) { marks[(v + 1) * pitch + u + 1] = mark; },
            [](int32_t, int32_t) {});
        if (ring.pixels > 0) continue;
        // A hole was met at its right side: the area begins again here. To the left of the hole lies the same area; the
        // left edge of that run was marked before, by the ring around it or by another of its holes.
        int32_t u = x - 1;
        while (row[u] != row[x]) --u;
        while (row[u - 1] == row[x]) --u;
        const int32_t other = row_marks[u] - 1;
        ring.parent = rings[other].pixels > 0 ? other : rings[other].parent;
      }
    }
  }
  return rings;
}

int32_t ContourFinder::corners(const Call& call, const Ring& ring, int32_t width, int32_t* points,
                               int32_t capacity) const noexcept {
  int32_t count = 0;
  walk(
      call.at<uint8_t>(padded_), width + 2, ring.x, ring.y, [](int32_t, int32_t) {},
      [&](int32_t x, int32_t y) {
        if (count < capacity) points[2 * count] = x, points[2 * count + 1] = y;
        ++count;
      });
  return count;
}

}  // namespace mnnlite
