// Bilinear and nearest sampling of axis-aligned regions: one table of columns for a region, two rows of it at a time.
#include <algorithm>

#include "image/plan_data.hpp"

namespace mnnlite::image {
namespace {

constexpr int32_t kLineBytes = 64;

struct Workspace {
  int32_t* v[4];
  Taps taps[3];
  int32_t* rows[3];         // of each group: the upper row under each network row,
  int32_t* row_weights[3];  // and the weights of it and the lower one
};

Workspace allocate(const PlanData& plan, ScratchAllocator& allocator) noexcept {
  Workspace space{};
  const auto width = static_cast<size_t>(plan.width), height = static_cast<size_t>(plan.height);
  for (int32_t*& row : space.v) row = allocator.take<int32_t>(width);
  for (int32_t g = 0; g < plan.group_count; ++g) {
    space.taps[g].offset = allocator.take<int32_t>(width);
    space.taps[g].weights = allocator.take<int32_t>(width);
    space.taps[g].starts = allocator.take<int32_t>((width + kMaxGroupOutputs) / 2);
    space.taps[g].shuffle_masks = allocator.take<uint32_t>(width + kMaxGroupOutputs);
    space.rows[g] = allocator.take<int32_t>(height);
    space.row_weights[g] = allocator.take<int32_t>(height);
  }
  return space;
}

double units_of(int shift) noexcept { return shift != 0 ? kOne / 2 : kOne; }

void make_taps(const Job& job, const Group& group, const Window& window, Bounds bounds, Taps& taps) noexcept {
  const Bounds samples = bounds.halved(group.shift_x);
  taps.count = window.x_end - window.x_begin;
  taps.per_window = 1;
  job.plan.kernels->line_taps({job.map.m[0], job.map.m[2], units_of(group.shift_x), window.x_begin, taps.count,
                               samples.first, samples.last, group.step, job.plan.spec.filter == Filter::nearest},
                              taps.offset, taps.weights);
  // Offsets rise or fall, so the columns where a wide read would leave the row are at one end.
  const ptrdiff_t row = row_bytes(job.plan.format, group.plane, job.view.width) - group.base;
  const ptrdiff_t last = row - job.plan.kernels->load_bytes[static_cast<int>(group.kind)];
  taps.wide_begin = 0;
  taps.wide_end = taps.count;
  while (taps.wide_end > 0 && taps.offset[taps.wide_end - 1] > last) --taps.wide_end;
  while (taps.wide_begin < taps.wide_end && taps.offset[taps.wide_begin] > last) ++taps.wide_begin;
}

// Whether windows of `per_window` outputs hold all that these need; if so they are made. `row`: bytes of the row.
bool make_windows(const Taps& taps, int32_t per_window, int32_t group_outputs, int32_t step, int32_t pixel_bytes,
                  int32_t row) noexcept {
  if (taps.count < group_outputs || row < kWindowBytes) return false;
  const uint32_t second = static_cast<uint32_t>(step) * 0x01010000u;
  uint32_t* shuffle_mask = taps.shuffle_masks;
  int32_t* start = taps.starts;
  for (int32_t group = 0; group < taps.count; group += group_outputs) {
    const int32_t* offset = taps.offset + std::min(group, taps.count - group_outputs);
    for (int32_t end = 0; end < group_outputs;) {
      const int32_t begin = end;
      end += per_window;
      const int32_t low = std::min(offset[begin], offset[end - 1]), high = std::max(offset[begin], offset[end - 1]);
      const int32_t from = std::min(low, row - kWindowBytes);
      if (std::min(high + step + pixel_bytes, row) > from + kWindowBytes) return false;
      *start++ = from;
      for (int32_t i = begin; i < end; ++i)
        *shuffle_mask++ = static_cast<uint32_t>(offset[i] - from) * 0x01010101u + second;
    }
  }
  return true;
}

// The largest windows that fit all of a plan's groups: their taps are walked through together.
void choose_windows(const Job& job, Taps* taps) noexcept {
  const PlanData& plan = job.plan;
  const int32_t group_outputs = plan.kernels->group_outputs;
  for (int32_t per_window = group_outputs > 0 ? 4 : 1; per_window > 1; per_window /= 2) {
    bool fits = true;
    for (int32_t g = 0; g < plan.group_count && fits; ++g) {
      const Group& group = plan.groups[g];
      const Component& last = plan.info->component[group.component[group.count - 1]];
      const auto row = static_cast<int32_t>(row_bytes(plan.format, group.plane, job.view.width) - group.base);
      fits = plan.info->sample_bytes == 1 &&
             make_windows(taps[g], per_window, group_outputs, group.step, last.offset - group.base + 1, row);
    }
    for (int32_t g = 0; g < plan.group_count && fits; ++g) taps[g].per_window = per_window;
    if (fits) return;
  }
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

size_t scratch_axis_aligned(const PlanData& plan) noexcept {
  ScratchAllocator allocator(nullptr);
  allocate(plan, allocator);
  return allocator.used();
}

namespace {

void make_rows(const Job& job, const Group& group, const Window& window, Bounds bounds, int32_t* rows,
               int32_t* weights) noexcept {
  const Bounds samples = bounds.halved(group.shift_y);
  job.plan.kernels->line_taps(
      {job.map.m[4], job.map.m[5], units_of(group.shift_y), window.y_begin, window.y_end - window.y_begin,
       samples.first, samples.last, 1, job.plan.spec.filter == Filter::nearest},
      rows, weights);
}

// What the region's columns need of a row: bytes, and cache lines for every group of outputs.
struct Span {
  int32_t first_byte, bytes, lines;
};

// What the next row needs and this one does not.
void look_ahead(PrefetchRows& ahead, int32_t groups, const Span* spans, const RowPair* now,
                const RowPair* next) noexcept {
  int32_t rows = 0, lines = 0;
  for (int32_t g = 0; g < groups; ++g) {
    const auto add = [&](const uint8_t* row) {
      ahead.row[rows] = row + spans[g].first_byte;
      ahead.bytes[rows++] = spans[g].bytes;
      lines += spans[g].lines;
    };
    const RowPair &here = now[g], &there = next[g];
    if (there.row0 != here.row0 && there.row0 != here.row1) add(there.row0);
    if (there.row1 != there.row0 && there.row1 != here.row1 && there.row1 != here.row0) add(there.row1);
  }
  ahead.rows = rows;
  ahead.blocks = (lines + 3) / 4;
}

// Which channel a sampled component (of YUV: red, green, blue) becomes, and how, for the passes that do all at once.
struct Targets {
  const Channel* channel[4] = {};
  float scale[4] = {}, bias[4] = {};

  void set(int at, const Channel& target) noexcept {
    channel[at] = &target;
    scale[at] = target.k;
    bias[at] = target.b;
  }
  void rows(const Job& job, int32_t x, int32_t y, float* out[4]) const noexcept {
    for (int i = 0; i < 4 && channel[i] != nullptr; ++i)
      out[i] = reinterpret_cast<float*>(element_at(job, *channel[i], x, y));
  }
};

Targets targets_of(const PlanData& plan, bool v_first) noexcept {
  Targets targets;
  for (int32_t c = 0; c < plan.stored; ++c) {
    const Channel& channel = plan.channels[c];
    if (channel.source < 0) continue;
    if (plan.fused_yuv) targets.set(v_first ? 2 - channel.source : channel.source, channel);
    for (int i = 0; plan.fused && i < plan.groups[0].count; ++i)
      if (plan.groups[0].component[i] == channel.source) targets.set(i, channel);
  }
  return targets;
}

}  // namespace

void run_axis_aligned(const Job& job) noexcept {
  const PlanData& plan = job.plan;
  const ImageView& view = job.view;
  const Kernels& kernels = *plan.kernels;
  ScratchAllocator allocator(job.scratch);
  Workspace space = allocate(plan, allocator);
  const Window window = visible(job);
  const int32_t x = window.x_begin, count = window.x_end - window.x_begin;
  const Mapping& to_frame = job.region.to_frame;
  const double divisor = to_frame.m[8], from_x = to_frame.m[2] / divisor, from_y = to_frame.m[5] / divisor;
  const Bounds columns = tap_bounds(from_x, to_frame.m[0] / divisor * job.region.width + from_x, view.width);
  const Bounds bounds_y = tap_bounds(from_y, to_frame.m[4] / divisor * job.region.height + from_y, view.height);
  for (int32_t g = 0; g < plan.group_count && count > 0; ++g) {
    make_taps(job, plan.groups[g], window, columns, space.taps[g]);
    make_rows(job, plan.groups[g], window, bounds_y, space.rows[g], space.row_weights[g]);
  }
  if (count > 0) choose_windows(job, space.taps);
  const auto rows_at = [&](int32_t g, int32_t y) {
    const Group& group = plan.groups[g];
    const ptrdiff_t stride = view.stride[group.plane];
    const int32_t weight1 = space.row_weights[g][y - window.y_begin] >> 16;
    const uint8_t* row0 = view.plane[group.plane] + group.base + space.rows[g][y - window.y_begin] * stride;
    return RowPair{row0, weight1 != 0 ? row0 + stride : row0, weight1};
  };

  const bool v_first = plan.fused_yuv && plan.groups[1].component[0] == 2;
  const Targets targets = targets_of(plan, v_first);
  const YuvMatrix& m = job.yuv;
  const YuvMatrix yuv = v_first ? YuvMatrix{m.luma, m.blue_u, m.green_v, m.green_u, m.red_v, m.black} : m;

  const Group& only = plan.groups[0];
  const SampleRowF32 sample_f32 = kernels.sample_f32[static_cast<int>(only.kind)];
  const int chroma = static_cast<int>(chroma_of(*plan.info));
  const YuvRowF32 yuv_f32 = kernels.yuv_f32[chroma];

  RowPair now[3] = {}, next[3] = {};
  Span spans[3] = {};
  PrefetchRows ahead{};
  for (int32_t g = 0; g < plan.group_count && count > 0 && window.y_begin < window.y_end; ++g) {
    const Bounds chosen = columns.halved(plan.groups[g].shift_x);
    const int32_t bytes = (chosen.last - chosen.first + 1) * plan.groups[g].step;
    spans[g] = {chosen.first * plan.groups[g].step, bytes,
                1 + bytes / kLineBytes / std::max(count / kMaxGroupOutputs, 1)};
    next[g] = rows_at(g, window.y_begin);
  }

  const bool beside = x > 0 || window.x_end < plan.width;
  for (int32_t y = 0; y < plan.height; ++y) {
    if (y < window.y_begin || y >= window.y_end || count <= 0) {
      pad_row(job, 0, y, plan.width);
      continue;
    }
    for (int32_t g = 0; g < plan.group_count; ++g) {
      now[g] = next[g];
      if (y + 1 < window.y_end) next[g] = rows_at(g, y + 1);
    }
    look_ahead(ahead, plan.group_count, spans, now, next);
    float* out[4] = {};
    targets.rows(job, x, y, out);
    if (plan.fused) {
      sample_f32(now[0], space.taps[0], ahead, targets.scale, targets.bias, out);
    } else if (plan.fused_yuv) {
      yuv_f32({now[0], now[1], now[2]}, space.taps[0], space.taps[1], ahead, yuv, targets.scale, targets.bias, out);
    } else {
      for (int32_t g = 0; g < plan.group_count; ++g) {
        int32_t* v[4] = {};
        for (int i = 0; i < plan.groups[g].count; ++i) v[i] = space.v[plan.groups[g].component[i]];
        kernels.sample[static_cast<int>(plan.groups[g].kind)](now[g], space.taps[g], ahead, v);
        ahead.rows = 0;
      }
      finish_row(job, space.v, x, y, count);
    }
    if (plan.fused || plan.fused_yuv) fill_constant_channels(job, x, y, count);
    if (beside) {
      pad_row(job, 0, y, x);
      pad_row(job, window.x_end, y, plan.width - window.x_end);
    }
  }
}

}  // namespace mnnlite::image
