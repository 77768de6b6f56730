// Bilinear and nearest sampling along any affine or projective map: every network pixel has its own place.
#include "image/plan_data.hpp"

namespace mnnlite::image {
namespace {

struct Workspace {
  int32_t* v[4];
  double* x;
  double* y;
  int32_t* fixed_x[2];  // in samples, and in samples of a plane with half as many
  int32_t* fixed_y[2];
  WarpTaps taps;
};

Workspace allocate(const PlanData& plan, ScratchAllocator& allocator) noexcept {
  Workspace space{};
  const auto width = static_cast<size_t>(plan.width);
  for (int32_t*& row : space.v) row = allocator.take<int32_t>(width);
  space.x = allocator.take<double>(width);
  space.y = allocator.take<double>(width);
  for (int half = 0; half < 2; ++half) {
    space.fixed_x[half] = allocator.take<int32_t>(width);
    space.fixed_y[half] = allocator.take<int32_t>(width);
  }
  space.taps.offset = allocator.take<int32_t>(width);
  space.taps.weights_x = allocator.take<int32_t>(width);
  space.taps.weights_y = allocator.take<int32_t>(width);
  space.taps.wide = allocator.take<uint8_t>(width);
  return space;
}

WarpPlane plane_of(const Job& job, const Group& group) noexcept {
  const ImageView& view = job.view;
  const ptrdiff_t row = row_bytes(job.plan.format, group.plane, view.width) - group.base;
  const ptrdiff_t stride = rows_of(job.plan.format, group.plane, view.height) > 1 ? view.stride[group.plane] : 0;
  return {samples_of(view.width, group.shift_x) - 1,
          samples_of(view.height, group.shift_y) - 1,
          group.step,
          static_cast<int32_t>(stride),
          static_cast<int32_t>(row - job.plan.kernels->load_bytes[static_cast<int>(group.kind)]),
          job.plan.spec.filter == Filter::nearest};
}

}  // namespace

size_t scratch_warped(const PlanData& plan) noexcept {
  ScratchAllocator allocator(nullptr);
  allocate(plan, allocator);
  return allocator.used();
}

void run_warped(const Job& job) noexcept {
  const PlanData& plan = job.plan;
  const Kernels& kernels = *plan.kernels;
  const Placement& placed = job.placed;
  const int32_t count = placed.width;
  ScratchAllocator allocator(job.scratch);
  Workspace space = allocate(plan, allocator);
  space.taps.count = count;
  const bool affine = job.map.affine();
  bool halves = false;
  for (int32_t g = 0; g < plan.group_count; ++g) halves = halves || plan.groups[g].shift_x != 0;
  const auto wide = static_cast<uint32_t>(job.view.width) << kPositionBits;
  const auto high = static_cast<uint32_t>(job.view.height) << kPositionBits;
  const auto inside = [&](int32_t i) {  // negative positions are large without their sign
    return static_cast<uint32_t>(space.fixed_x[0][i]) < wide && static_cast<uint32_t>(space.fixed_y[0][i]) < high;
  };

  for (int32_t y = 0; y < plan.height; ++y) {
    if (y < placed.top || y >= placed.top + placed.height) {
      pad_row(job, 0, y, plan.width);
      continue;
    }
    kernels.project(job.map.m, affine, placed.left + 0.5, y + 0.5, count, space.x, space.y);
    for (int half = 0; half <= (halves ? 1 : 0); ++half) {
      kernels.to_fixed(space.x, half != 0 ? kOne / 2 : kOne, count, space.fixed_x[half]);
      kernels.to_fixed(space.y, half != 0 ? kOne / 2 : kOne, count, space.fixed_y[half]);
    }
    for (int32_t g = 0; g < plan.group_count; ++g) {
      const Group& group = plan.groups[g];
      kernels.warp_taps(space.fixed_x[group.shift_x], space.fixed_y[group.shift_y], plane_of(job, group), space.taps);
      int32_t* v[4] = {};
      for (int i = 0; i < group.count; ++i) v[i] = space.v[group.component[i]];
      kernels.warp[static_cast<int>(group.kind)](job.view.plane[group.plane] + group.base, job.view.stride[group.plane],
                                                 space.taps, v);
    }
    finish_row(job, space.v, placed.left, y, count);
    for (int32_t x = 0; x < count;) {  // runs of pixels that lie off the frame
      int32_t end = x;
      while (end < count && !inside(end)) ++end;
      if (end > x) pad_row(job, placed.left + x, y, end - x);
      x = end + 1;
    }
    pad_row(job, 0, y, placed.left);
    pad_row(job, placed.left + count, y, plan.width - placed.left - count);
  }
}

}  // namespace mnnlite::image
