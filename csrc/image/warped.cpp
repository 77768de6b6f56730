// Bilinear and nearest sampling along any affine or projective map: every network pixel has its own place.
#include "image/plan_data.hpp"

namespace mnnlite::image {
namespace {

struct Workspace {
  int32_t* v[4];
  double* x;
  double* y;
  uint8_t* inside;
  WarpTaps taps;
};

Workspace carve(const PlanData& plan, Carver& carver) noexcept {
  Workspace space{};
  const auto width = static_cast<size_t>(plan.width);
  for (int32_t*& row : space.v) row = carver.take<int32_t>(width);
  space.x = carver.take<double>(width);
  space.y = carver.take<double>(width);
  space.inside = carver.take<uint8_t>(width);
  space.taps.corner = carver.take<const uint8_t*>(width);
  space.taps.weights_x = carver.take<int32_t>(width);
  space.taps.weights_y = carver.take<int32_t>(width);
  space.taps.wide = carver.take<uint8_t>(width);
  return space;
}

// Positions of a network row in the frame. Behind the projection's horizon there is no picture: not a number.
void locate_row(const Job& job, int32_t y, Workspace& space) noexcept {
  const double* m = job.map.m;
  const double row = y + 0.5, row_x = m[1] * row + m[2], row_y = m[4] * row + m[5], row_w = m[7] * row + m[8];
  const bool affine = job.map.affine();
  for (int32_t i = 0; i < job.placed.width; ++i) {
    const double column = job.placed.left + i + 0.5;
    double at_x = m[0] * column + row_x, at_y = m[3] * column + row_y;
    if (!affine) {
      const double divisor = m[6] * column + row_w;
      at_x = divisor > 0 ? at_x / divisor : NAN;
      at_y = divisor > 0 ? at_y / divisor : NAN;
    }
    const int64_t e_x = fixed(at_x), e_y = fixed(at_y);
    space.x[i] = at_x;
    space.y[i] = at_y;
    space.inside[i] = e_x >= 0 && e_x < static_cast<int64_t>(job.view.width) << kPositionBits && e_y >= 0 &&
                      e_y < static_cast<int64_t>(job.view.height) << kPositionBits;
  }
}

void make_taps(const Job& job, const Group& group, Workspace& space) noexcept {
  const ImageView& view = job.view;
  const Bounds columns = Bounds{0, view.width - 1}.halved(group.shift_x);
  const Bounds rows = Bounds{0, view.height - 1}.halved(group.shift_y);
  const bool nearest = job.plan.spec.filter == Filter::nearest;
  const uint8_t* plane = view.plane[group.plane] + group.base;
  const ptrdiff_t stride = view.stride[group.plane];
  const int32_t load = job.plan.kernels->load_bytes[static_cast<int>(group.kind)];
  const ptrdiff_t last = row_bytes(job.plan.format, group.plane, view.width) - group.base - load;
  WarpTaps& taps = space.taps;
  taps.count = job.placed.width;
  for (int32_t x = 0; x < taps.count; ++x) {
    if (!space.inside[x]) {  // anything that can be read: it becomes padding
      taps.corner[x] = plane;
      taps.weights_x[x] = taps.weights_y[x] = pair_of(0);
      taps.wide[x] = 0;
      continue;
    }
    const Tap across = tap_at(fixed(group.shift_x != 0 ? space.x[x] * 0.5 : space.x[x]), columns, nearest);
    const Tap down = tap_at(fixed(group.shift_y != 0 ? space.y[x] * 0.5 : space.y[x]), rows, nearest);
    const ptrdiff_t offset = static_cast<ptrdiff_t>(across.index) * group.step;
    taps.corner[x] = plane + down.index * stride + offset;
    taps.weights_x[x] = pair_of(across.weight1);
    taps.weights_y[x] = pair_of(down.weight1);
    taps.wide[x] = offset <= last && down.index < rows.last;
  }
}

}  // namespace

size_t scratch_warped(const PlanData& plan) noexcept {
  Carver carver(nullptr);
  carve(plan, carver);
  return carver.used();
}

void run_warped(const Job& job) noexcept {
  const PlanData& plan = job.plan;
  const Placement& placed = job.placed;
  Carver carver(job.scratch);
  Workspace space = carve(plan, carver);
  for (int32_t y = 0; y < plan.height; ++y) {
    if (y < placed.top || y >= placed.top + placed.height) {
      pad_row(job, 0, y, plan.width);
      continue;
    }
    locate_row(job, y, space);
    for (int32_t g = 0; g < plan.group_count; ++g) {
      const Group& group = plan.groups[g];
      make_taps(job, group, space);
      int32_t* v[4] = {};
      for (int i = 0; i < group.count; ++i) v[i] = space.v[group.component[i]];
      plan.kernels->warp[static_cast<int>(group.kind)](space.taps, job.view.stride[group.plane], v);
    }
    finish_row(job, space.v, placed.left, y, placed.width);
    for (int32_t x = 0; x < placed.width;) {  // runs of pixels that lie off the frame
      int32_t end = x;
      while (end < placed.width && !space.inside[end]) ++end;
      pad_row(job, placed.left + x, y, end - x);
      x = end + 1;
    }
    pad_row(job, 0, y, placed.left);
    pad_row(job, placed.left + placed.width, y, plan.width - placed.left - placed.width);
  }
}

}  // namespace mnnlite::image
