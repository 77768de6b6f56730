// Definition: mnnlite/reference/decode/segmentation.py polygons, of a map whose classes are 0 and 1.
#include "decode/maps/mask_polygons.hpp"

#include <algorithm>
#include <cstdlib>

#include "core/memory.hpp"
#include "decode/common/geometry.hpp"
#include "decode/maps/contour.hpp"

namespace mnnlite {
namespace {

constexpr int32_t kMostRings = 1 << 16;

struct Work {
  std::vector<uint8_t> map;
  std::vector<int32_t> corners, stack, parents;
  std::vector<uint8_t> keep;
  std::vector<Point> points;
  Block scratch;
};

Status outline(const mnnlite_row& row, const uint8_t* bits, double tolerance, Work& work, MaskPolygons& out) {
  const int32_t width = row.width, height = row.height, step = (width + 7) / 8;
  work.map.resize(static_cast<size_t>(width) * static_cast<size_t>(height));
  uint8_t* map = work.map.data();
  for (int32_t y = 0; y < height; ++y, bits += step)
    for (int32_t x = 0; x < width; ++x) *map++ = static_cast<uint8_t>(bits[x / 8] >> (7 - x % 8) & 1);
  mnnlite_needs needs{};
  Needs wanted(needs, 1);
  ContourFinder contours;
  // No more rings than every second pixel, and no more than anyone looks at.
  const auto most = static_cast<int32_t>(std::min<int64_t>(int64_t{width} * height / 2 + 1, kMostRings));
  contours.plan(wanted, width, height, most);
  if (wanted.too_large() || !work.scratch.reserve(needs.scratch))
    return Status::error(Code::out_of_memory, "no memory for the outline of a mask of %dx%d", static_cast<int>(width),
                         static_cast<int>(height));
  mnnlite_sink none{};
  const Call call{nullptr, 0, nullptr, 0, none, static_cast<char*>(work.scratch.data())};
  int32_t count = 0;
  bool truncated = false;
  const Ring* rings = contours.find(call, work.map.data(), width, height, 0, count, truncated);
  work.parents.assign(static_cast<size_t>(count), -1);
  const auto add = [&](int32_t index) {
    const Ring& ring = rings[index];
    int32_t n = contours.corners(call, ring, width, work.corners.data(), static_cast<int32_t>(work.corners.size() / 2));
    if (static_cast<size_t>(2) * static_cast<size_t>(n) > work.corners.size()) {
      work.corners.resize(static_cast<size_t>(2) * static_cast<size_t>(n));
      n = contours.corners(call, ring, width, work.corners.data(), n);
    }
    const auto size = static_cast<size_t>(n);
    work.points.resize(size), work.keep.resize(size + 1), work.stack.resize(2 * size + 4);
    for (size_t i = 0; i < size; ++i)
      work.points[i] = {static_cast<double>(row.left + work.corners[2 * i]),
                        static_cast<double>(row.top + work.corners[2 * i + 1])};
    n = simplify_ring(work.points.data(), n, tolerance, work.stack.data(), work.keep.data());
    mnnlite_row made{};
    made.item = row.item, made.class_id = row.class_id, made.score = row.score;
    made.area = static_cast<float>(std::abs(ring.pixels));
    made.parent = ring.parent < 0 ? -1 : work.parents[static_cast<size_t>(ring.parent)];
    made.first_value = static_cast<int32_t>(out.values.size()), made.value_count = 2 * n;
    out.values.resize(out.values.size() + 2 * static_cast<size_t>(n));
    write_points(work.points.data(), n, out.values.data() + made.first_value, made.box);
    work.parents[static_cast<size_t>(index)] = static_cast<int32_t>(out.rows.size());
    out.rows.push_back(made);
  };
  for (int32_t i = 0; i < count; ++i) {
    if (rings[i].parent >= 0) continue;
    add(i);
    for (int32_t k = i + 1; k < count; ++k)
      if (rings[k].parent == i) add(k);
  }
  return {};
}

}  // namespace

Status mask_polygons(const mnnlite_row* rows, int64_t count, const uint8_t* pixels, int64_t pixel_count,
                     double tolerance, MaskPolygons& out) {
  Work work;
  for (int64_t i = 0; i < count; ++i) {
    const mnnlite_row& row = rows[i];
    const int64_t bytes = (int64_t{row.width} + 7) / 8 * row.height;
    if (row.width < 0 || row.height < 0 || row.first_pixel < 0 || bytes > pixel_count - row.first_pixel)
      return Status::error(Code::argument, "the mask of row %lld lies outside the pixels", static_cast<long long>(i));
    if (bytes > 0) MNNLITE_TRY(outline(row, pixels + row.first_pixel, tolerance, work, out));
  }
  return {};
}

}  // namespace mnnlite
