// Bilinear and nearest sampling of upright regions: one table of columns for a region, two rows of it at a time.
#include "image/plan_data.hpp"

namespace mnnlite::image {
namespace {

struct Workspace {
  int32_t* v[4];
  Taps taps[3];
};

Workspace carve(const PlanData& plan, Carver& carver) noexcept {
  Workspace space{};
  const auto width = static_cast<size_t>(plan.width);
  for (int32_t*& row : space.v) row = carver.take<int32_t>(width);
  for (int32_t g = 0; g < plan.group_count; ++g) {
    space.taps[g].offset = carver.take<int32_t>(width);
    space.taps[g].weights = carver.take<int32_t>(width);
  }
  return space;
}

void make_taps(const Job& job, const Group& group, const Window& window, Bounds bounds, Taps& taps) noexcept {
  const double scale = job.map.m[0], shift = job.map.m[2];
  const bool nearest = job.plan.spec.filter == Filter::nearest;
  const Bounds samples = bounds.halved(group.shift_x);
  taps.count = window.x_end - window.x_begin;
  for (int32_t x = 0; x < taps.count; ++x) {
    const Tap tap = tap_at(centre(scale, shift, window.x_begin + x, group.shift_x), samples, nearest);
    taps.offset[x] = tap.index * group.step;
    taps.weights[x] = pair_of(tap.weight1);
  }
  // Offsets rise or fall, so the columns where a wide read would leave the row are at one end.
  const ptrdiff_t row = row_bytes(job.plan.format, group.plane, job.view.width) - group.base;
  const ptrdiff_t last = row - job.plan.kernels->load_bytes[static_cast<int>(group.kind)];
  taps.wide_begin = 0;
  taps.wide_end = taps.count;
  while (taps.wide_end > 0 && taps.offset[taps.wide_end - 1] > last) --taps.wide_end;
  while (taps.wide_begin < taps.wide_end && taps.offset[taps.wide_begin] > last) ++taps.wide_begin;
}

}  // namespace

Window visible(const Job& job) noexcept {
  const auto range = [](double scale, double shift, int32_t begin, int32_t count, int32_t size) {
    const auto seen = [&](int32_t index) {
      const int64_t position = centre(scale, shift, index, 0);
      return position >= 0 && position < static_cast<int64_t>(size) << kPositionBits;
    };
    int32_t first = begin, end = begin + count;
    while (first < end && !seen(first)) ++first;
    while (end > first && !seen(end - 1)) --end;
    return Bounds{first, end};
  };
  const Bounds x = range(job.map.m[0], job.map.m[2], job.placed.left, job.placed.width, job.view.width);
  const Bounds y = range(job.map.m[4], job.map.m[5], job.placed.top, job.placed.height, job.view.height);
  return {x.first, x.last, y.first, y.last};
}

size_t scratch_upright(const PlanData& plan) noexcept {
  Carver carver(nullptr);
  carve(plan, carver);
  return carver.used();
}

void run_upright(const Job& job) noexcept {
  const PlanData& plan = job.plan;
  const ImageView& view = job.view;
  Carver carver(job.scratch);
  Workspace space = carve(plan, carver);
  const Window window = visible(job);
  const int32_t count = window.x_end - window.x_begin;
  const Mapping& to_frame = job.region.to_frame;
  const double divisor = to_frame.m[8], from_x = to_frame.m[2] / divisor, from_y = to_frame.m[5] / divisor;
  const Bounds columns = tap_bounds(from_x, to_frame.m[0] / divisor * job.region.width + from_x, view.width);
  const Bounds rows = tap_bounds(from_y, to_frame.m[4] / divisor * job.region.height + from_y, view.height);
  const bool nearest = plan.spec.filter == Filter::nearest;
  for (int32_t g = 0; g < plan.group_count && count > 0; ++g)
    make_taps(job, plan.groups[g], window, columns, space.taps[g]);

  float scale[4] = {}, bias[4] = {};  // of the fused pass, in the order of memory
  const Channel* fused[4] = {};
  if (plan.fused)
    for (int32_t c = 0; c < plan.stored; ++c)
      for (int i = 0; i < plan.groups[0].count; ++i)
        if (plan.groups[0].component[i] == plan.channels[c].source) {
          scale[i] = plan.channels[c].k;
          bias[i] = plan.channels[c].b;
          fused[i] = &plan.channels[c];
        }

  for (int32_t y = 0; y < plan.height; ++y) {
    if (y < window.y_begin || y >= window.y_end || count <= 0) {
      pad_row(job, 0, y, plan.width);
      continue;
    }
    for (int32_t g = 0; g < plan.group_count; ++g) {
      const Group& group = plan.groups[g];
      const Tap tap = tap_at(centre(job.map.m[4], job.map.m[5], y, group.shift_y), rows.halved(group.shift_y), nearest);
      const ptrdiff_t stride = view.stride[group.plane];
      const uint8_t* row0 = view.plane[group.plane] + tap.index * stride + group.base;
      const uint8_t* row1 = tap.weight1 != 0 ? row0 + stride : row0;
      if (plan.fused) {
        float* out[4] = {};
        for (int i = 0; i < group.count; ++i)
          out[i] = reinterpret_cast<float*>(element_at(job, *fused[i], window.x_begin, y));
        plan.kernels->sample_f32[static_cast<int>(group.kind)](row0, row1, tap.weight1, space.taps[g], scale, bias, out);
        fill_constant_channels(job, window.x_begin, y, count);
      } else {
        int32_t* v[4] = {};
        for (int i = 0; i < group.count; ++i) v[i] = space.v[group.component[i]];
        plan.kernels->sample[static_cast<int>(group.kind)](row0, row1, tap.weight1, space.taps[g], v);
      }
    }
    if (!plan.fused) finish_row(job, space.v, window.x_begin, y, count);
    pad_row(job, 0, y, window.x_begin);
    pad_row(job, window.x_end, y, plan.width - window.x_end);
  }
}

}  // namespace mnnlite::image
