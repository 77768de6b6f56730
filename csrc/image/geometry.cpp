#include "image/geometry.hpp"

#include <algorithm>

namespace mnnlite {

bool operator==(const ImageSpec& a, const ImageSpec& b) noexcept {
  return a.width == b.width && a.height == b.height && a.fit == b.fit && a.anchor == b.anchor && a.color == b.color &&
         a.filter == b.filter && a.multiple == b.multiple && std::equal(a.mean, a.mean + 4, b.mean) &&
         std::equal(a.std, a.std + 4, b.std) && std::equal(a.pad, a.pad + 4, b.pad) && a.dtype == b.dtype &&
         a.layout == b.layout && a.scale == b.scale && a.zero_point == b.zero_point &&
         a.has_zero_point == b.has_zero_point;
}

Status check_spec(const ImageSpec& spec) noexcept {
  if (spec.width < 0 || spec.height < 0 || spec.width > kMaxSide || spec.height > kMaxSide ||
      (spec.width == 0) != (spec.height == 0))
    return Status::error(Code::argument, "size: got %d x %d, wanted 1 to %d each, or 0 x 0 for the tensor's own",
                         spec.width, spec.height, kMaxSide);
  if (spec.multiple < 0 || (spec.multiple > 0 && (spec.fit != Fit::letterbox || spec.width == 0)))
    return Status::error(Code::argument, "multiple: is for a letterbox with a size, got %d", spec.multiple);
  if (spec.multiple > 0 && (spec.width % spec.multiple != 0 || spec.height % spec.multiple != 0))
    return Status::error(Code::argument, "multiple: size %d x %d is not a multiple of %d", spec.width, spec.height,
                         spec.multiple);
  for (int c = 0; c < channels_of(spec.color); ++c) {
    if (!std::isfinite(spec.mean[c]))
      return Status::error(Code::argument, "mean[%d]: got %g, wanted a finite number", c, spec.mean[c]);
    if (!(std::fabs(spec.std[c]) > 1e-30 && std::fabs(spec.std[c]) < 1e30))
      return Status::error(Code::argument, "std[%d]: got %g, wanted a number other than 0", c, spec.std[c]);
    if (!(spec.pad[c] >= 0 && spec.pad[c] <= 255))
      return Status::error(Code::argument, "pad[%d]: got %g, wanted 0 to 255", c, spec.pad[c]);
  }
  if (spec.scale != 0 && !(spec.scale > 1e-30 && spec.scale < 1e30))
    return Status::error(Code::argument, "scale: got %g, wanted a number greater than 0", spec.scale);
  return {};
}

void network_size(const ImageSpec& spec, double region_width, double region_height, int32_t& width,
                  int32_t& height) noexcept {
  width = spec.width;
  height = spec.height;
  if (spec.multiple <= 0) return;
  Region region;
  region.width = region_width;
  region.height = region_height;
  const image::Placement placed = image::place(spec, region, width, height);
  width = (placed.width + spec.multiple - 1) / spec.multiple * spec.multiple;
  height = (placed.height + spec.multiple - 1) / spec.multiple * spec.multiple;
}

}  // namespace mnnlite

namespace mnnlite::image {

Placement place(const ImageSpec& spec, const Region& region, int32_t width, int32_t height) noexcept {
  if (spec.fit == Fit::stretch)
    return {0, 0, width, height, Mapping::scale_shift(region.width / width, region.height / height, 0, 0)};
  // The fraction of the surplus, in the picture or beside it, that lies to the left and above.
  constexpr double kFractions[][2] = {{0.5, 0.5}, {0, 0}, {0.5, 1}};
  const double (&fraction)[2] = kFractions[static_cast<size_t>(spec.anchor)];
  if (spec.fit == Fit::crop) {
    const double scale = 1.0 / std::max(width / region.width, height / region.height);
    const double over_x = region.width - width * scale, over_y = region.height - height * scale;
    return {0, 0, width, height, Mapping::scale_shift(scale, scale, over_x * fraction[0], over_y * fraction[1])};
  }
  const int32_t box_width = spec.width > 0 ? spec.width : width;
  const int32_t box_height = spec.height > 0 ? spec.height : height;
  const double ratio = std::min(box_width / region.width, box_height / region.height);
  // nearbyint rounds half to even, as the reference does; the clamp comes first so that the cast is defined.
  const auto inner = [](double size, int32_t limit) {
    return static_cast<int32_t>(std::min(std::max(std::nearbyint(size), 1.0), static_cast<double>(limit)));
  };
  const int32_t inner_width = inner(region.width * ratio, width), inner_height = inner(region.height * ratio, height);
  const auto left = static_cast<int32_t>((width - inner_width) * fraction[0]);
  const auto top = static_cast<int32_t>((height - inner_height) * fraction[1]);
  const double scale_x = region.width / inner_width, scale_y = region.height / inner_height;
  return {left, top, inner_width, inner_height,
          Mapping::scale_shift(scale_x, scale_y, -(left * scale_x), -(top * scale_y))};
}

Mapping network_to_frame(const Region& region, const Placement& placed) noexcept {
  Mapping map = Mapping::compose(region.to_frame, placed.to_region);
  if (map.affine()) {
    const double divisor = map.m[8];
    for (double& value : map.m) value /= divisor;
  }
  return map;
}

Bounds tap_bounds(double start, double end, int32_t size) noexcept {
  const int64_t a = fixed(start), b = fixed(end), limit = size - 1;
  const int64_t low = std::min(a, b), high = std::max(a, b);
  const int64_t first = std::clamp<int64_t>(low >> kPositionBits, 0, limit);
  const int64_t last = std::min(std::max(((high + kOne - 1) >> kPositionBits) - 1, first), limit);
  return {static_cast<int32_t>(first), static_cast<int32_t>(last)};
}

Status check_region(const Region& region) noexcept {
  if (!(region.width > 0 && region.height > 0 && region.width <= 1 << 20 && region.height <= 1 << 20))
    return Status::error(Code::argument, "the region has no pixels or too many: got %g x %g, wanted more than 0 x 0",
                         region.width, region.height);
  for (double value : region.to_frame.m)
    if (!(std::fabs(value) < 1e9))
      return Status::error(Code::argument, "the region's map has the element %g, wanted finite numbers", value);
  Mapping inverse;
  if (!region.to_frame.inverse(inverse))
    return Status::error(Code::argument, "the region is collapsed: its corners lie on one line or in one point");
  return {};
}

// Unit square -> quadrilateral after Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), 2.2.3, then
// scaled to the region's size.
Status region_of_quad(const double points[8], Region& region) noexcept {
  double x[4], y[4];
  for (int i = 0; i < 4; ++i) {
    x[i] = points[2 * i];
    y[i] = points[2 * i + 1];
    if (!(std::fabs(x[i]) < 1e6 && std::fabs(y[i]) < 1e6))
      return Status::error(Code::argument, "quad: point %d is (%g, %g), wanted finite frame pixels", i, x[i], y[i]);
  }
  // All turns in one direction: only then is every point of the region in front of the projection.
  int turns[2] = {0, 0};
  for (int i = 0; i < 4; ++i) {
    const int j = (i + 1) % 4, k = (i + 2) % 4;
    const double cross = (x[j] - x[i]) * (y[k] - y[j]) - (y[j] - y[i]) * (x[k] - x[j]);
    turns[0] += cross > 1e-9;
    turns[1] += cross < -1e-9;
  }
  if (turns[0] != 4 && turns[1] != 4)
    return Status::error(Code::argument,
                         "quad: the points do not make a convex quadrilateral in the order top-left, top-right, "
                         "bottom-right, bottom-left");
  const auto length = [&](int a, int b) {
    return std::sqrt((x[a] - x[b]) * (x[a] - x[b]) + (y[a] - y[b]) * (y[a] - y[b]));
  };
  const double width = (length(0, 1) + length(3, 2)) / 2, height = (length(0, 3) + length(1, 2)) / 2;
  const double sum_x = x[0] - x[1] + x[2] - x[3], sum_y = y[0] - y[1] + y[2] - y[3];
  double g = 0, h = 0;
  if (sum_x != 0 || sum_y != 0) {
    const double dx1 = x[1] - x[2], dx2 = x[3] - x[2], dy1 = y[1] - y[2], dy2 = y[3] - y[2];
    const double determinant = dx1 * dy2 - dx2 * dy1;
    g = (sum_x * dy2 - dx2 * sum_y) / determinant;
    h = (dx1 * sum_y - sum_x * dy1) / determinant;
  }
  region.width = width;
  region.height = height;
  region.to_frame =
      Mapping{{(x[1] - x[0] + g * x[1]) / width, (x[3] - x[0] + h * x[3]) / height, x[0],
               (y[1] - y[0] + g * y[1]) / width, (y[3] - y[0] + h * y[3]) / height, y[0], g / width, h / height, 1}};
  return check_region(region);
}

}  // namespace mnnlite::image
