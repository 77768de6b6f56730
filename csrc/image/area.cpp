// Area sampling of axis-aligned regions: the rows under a network row are summed first, then what lies under each column.
// Down before across because the sums run over contiguous memory, and every frame pixel is read once per network row.
#include <algorithm>

#include "image/plan_data.hpp"

namespace mnnlite::image {
namespace {

struct Workspace {
  int32_t* v[4];
  AreaTaps taps[3];
  uint32_t* sums;
  uint16_t* values;
};

// Network pixels share at most their border pixels, so there are never more taps than this.
size_t tap_limit(const PlanData& plan, int32_t frame_width) noexcept {
  return static_cast<size_t>(frame_width) + 3 * static_cast<size_t>(plan.width);
}

Workspace allocate(const PlanData& plan, int32_t frame_width, ScratchAllocator& allocator) noexcept {
  Workspace space{};
  const auto width = static_cast<size_t>(plan.width);
  for (int32_t*& row : space.v) row = allocator.take<int32_t>(width);
  for (int32_t g = 0; g < plan.group_count; ++g) {
    space.taps[g].first = allocator.take<int32_t>(width);
    space.taps[g].begin = allocator.take<int32_t>(width + 1);
    space.taps[g].weights = allocator.take<int16_t>(tap_limit(plan, frame_width));
  }
  const size_t samples = static_cast<size_t>(frame_width + 1) * 4;
  space.sums = allocator.take<uint32_t>(samples);
  space.values = allocator.take<uint16_t>(samples);
  return space;
}

// The weights of one network pixel. Calls add(first, weight, index) for each sample it covers, in order.
// @see mnnlite.reference.image.area_weights
template <typename Add>
void each_weight(double scale, double shift, int32_t index, int half, Bounds bounds, Add add) noexcept {
  const double half_factor = half != 0 ? 0.5 : 1.0;
  if (!(std::fabs(scale) * half_factor > 1)) {
    const Tap tap = tap_at(centre(scale, shift, index, half), bounds, false);
    add(tap.index, (kOne - tap.weight1) * 8);
    if (tap.weight1 > 0) add(tap.index + 1, tap.weight1 * 8);
    return;
  }
  const int64_t a = fixed((scale * index + shift) * half_factor),
                b = fixed((scale * (index + 1) + shift) * half_factor);
  const int64_t low = std::max(std::min(a, b), static_cast<int64_t>(bounds.first) << kPositionBits);
  const int64_t high = std::min(std::max(a, b), static_cast<int64_t>(bounds.last + 1) << kPositionBits);
  const int64_t total = high - low;
  int64_t before = 0;
  for (int64_t i = low >> kPositionBits; i << kPositionBits < high; ++i) {
    const int64_t edge = std::min((i + 1) << kPositionBits, high) - low;
    const int64_t running = ((edge << kAreaBits) + total / 2) / total;
    add(static_cast<int32_t>(i), static_cast<int32_t>(running - before));
    before = running;
  }
}

void make_taps(const Job& job, const Group& group, const Window& window, Bounds bounds, AreaTaps& taps) noexcept {
  taps.count = window.x_end - window.x_begin;
  int32_t used = 0;
  for (int32_t x = 0; x < taps.count; ++x) {
    taps.begin[x] = used;
    each_weight(job.map.m[0], job.map.m[2], window.x_begin + x, group.shift_x, bounds.halved(group.shift_x),
                [&](int32_t index, int32_t weight) {
                  if (used == taps.begin[x]) taps.first[x] = index;
                  taps.weights[used++] = static_cast<int16_t>(weight);
                });
  }
  taps.begin[taps.count] = used;
}

}  // namespace

size_t scratch_area(const PlanData& plan, int32_t frame_width) noexcept {
  ScratchAllocator allocator(nullptr);
  allocate(plan, frame_width, allocator);
  return allocator.used();
}

void run_area(const Job& job) noexcept {
  const PlanData& plan = job.plan;
  const ImageView& view = job.view;
  ScratchAllocator allocator(job.scratch);
  Workspace space = allocate(plan, view.width, allocator);
  const Window window = visible(job);
  const int32_t count = window.x_end - window.x_begin;
  const Mapping& to_frame = job.region.to_frame;
  const double divisor = to_frame.m[8], from_x = to_frame.m[2] / divisor, from_y = to_frame.m[5] / divisor;
  const Bounds columns = tap_bounds(from_x, to_frame.m[0] / divisor * job.region.width + from_x, view.width);
  const Bounds rows = tap_bounds(from_y, to_frame.m[4] / divisor * job.region.height + from_y, view.height);
  for (int32_t g = 0; g < plan.group_count && count > 0; ++g)
    make_taps(job, plan.groups[g], window, columns, space.taps[g]);
  const int wide = plan.info->sample_bytes - 1;

  for (int32_t y = 0; y < plan.height; ++y) {
    if (y < window.y_begin || y >= window.y_end || count <= 0) {
      pad_row(job, 0, y, plan.width);
      continue;
    }
    for (int32_t g = 0; g < plan.group_count; ++g) {
      const Group& group = plan.groups[g];
      const AreaTaps& taps = space.taps[g];
      // From the first component of the first sample to the last one's last component.
      const Bounds across = columns.halved(group.shift_x);
      const int32_t step = group.step >> wide;  // in samples
      const uint8_t* start = view.plane[group.plane] + static_cast<ptrdiff_t>(across.first) * group.step;
      const int32_t samples = (across.last - across.first + 1) * step;
      std::fill_n(space.sums, samples, 0u);
      each_weight(job.map.m[4], job.map.m[5], y, group.shift_y, rows.halved(group.shift_y),
                  [&](int32_t row, int32_t weight) {
                    plan.kernels->area_add[wide](start + row * view.stride[group.plane], samples, weight, space.sums);
                  });
      plan.kernels->area_narrow[wide](space.sums, samples, space.values);
      int32_t at[4] = {};
      int32_t* v[4] = {};
      for (int i = 0; i < group.count; ++i) {
        at[i] = plan.info->component[group.component[i]].offset >> wide;
        v[i] = space.v[group.component[i]];
      }
      plan.kernels->area_reduce(space.values - static_cast<ptrdiff_t>(across.first) * step, step, group.count, at, taps,
                                v);
    }
    finish_row(job, space.v, window.x_begin, y, count);
    pad_row(job, 0, y, window.x_begin);
    pad_row(job, window.x_end, y, plan.width - window.x_end);
  }
}

}  // namespace mnnlite::image
