// Runs each image kernel once between marks, for tools/arm/count_image.sh to count instructions. Not a timer.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "core/memory.hpp"
#include "image/formats.hpp"
#include "image/plan.hpp"

using namespace mnnlite;

namespace {

struct Case {
  const char* name;
  Format format;
  Filter filter;
  int width, height, side;
  DType dtype;
  Layout layout;
};

constexpr Case kCases[] = {
    {"bilinear BGR 1280x720 -> 320x320 f32", Format::bgr, Filter::bilinear, 1280, 720, 320, DType::f32, Layout::nchw},
    {"NV12 1280x720 -> 320x320 f32", Format::nv12, Filter::bilinear, 1280, 720, 320, DType::f32, Layout::nchw},
    {"normalise BGR 320x320 f32", Format::bgr, Filter::bilinear, 320, 320, 320, DType::f32, Layout::nchw},
    {"bilinear GRAY 1280x720 -> 320x320 f32", Format::gray, Filter::bilinear, 1280, 720, 320, DType::f32, Layout::nchw},
    {"I420 1280x720 -> 320x320 f32", Format::i420, Filter::bilinear, 1280, 720, 320, DType::f32, Layout::nchw},
    {"YUYV 1280x720 -> 320x320 f32", Format::yuyv, Filter::bilinear, 1280, 720, 320, DType::f32, Layout::nchw},
    {"bilinear BGR 1280x720 -> 320x320 u8 NHWC", Format::bgr, Filter::bilinear, 1280, 720, 320, DType::u8,
     Layout::nhwc},
    {"bilinear BGR 1280x720 -> 320x320 f16", Format::bgr, Filter::bilinear, 1280, 720, 320, DType::f16, Layout::nchw},
    {"area BGR 1280x720 -> 320x320 f32", Format::bgr, Filter::area, 1280, 720, 320, DType::f32, Layout::nchw},
};

void count(const Case& each, Isa isa, int tag) {
  ImageView view;
  view.format = each.format;
  view.width = each.width;
  view.height = each.height;
  std::vector<std::vector<uint8_t>> planes;
  for (int plane = 0; plane < image::info_of(each.format).planes; ++plane) {
    const ptrdiff_t stride = image::row_bytes(each.format, plane, each.width);
    planes.emplace_back(static_cast<size_t>(stride * image::rows_of(each.format, plane, each.height)), 100);
    view.plane[plane] = planes.back().data();
    view.stride[plane] = stride;
  }
  TensorView tensor{};
  tensor.name = "count";
  tensor.dtype = static_cast<int32_t>(each.dtype);
  tensor.layout = static_cast<int32_t>(each.layout);
  tensor.rank = 4;
  tensor.dims[0] = 1;
  for (int axis = 1; axis < 4; ++axis) tensor.dims[axis] = each.side;
  tensor.dims[each.layout == Layout::nhwc ? 3 : 1] = 3;
  ImageSpec spec;
  spec.filter = each.filter;
  if (each.format == Format::gray) {
    spec.color = Color::gray;
    tensor.dims[1] = 1;
  }
  ImagePlan plan;
  std::vector<float> out(stored_elements(tensor));
  tensor.data = out.data();
  Block scratch;
  if (!ImagePlan::make(spec, each.format, tensor, 1, plan, &isa).ok() ||
      !scratch.reserve(plan.scratch_bytes(each.width, each.height)))
    return;
  const Region region{Mapping{}, static_cast<double>(each.width), static_cast<double>(each.height)};
  (void)plan.run(view, &region, 1, tensor, scratch.data()).ok();
  syscall(0x5eed, tag);
  (void)plan.run(view, &region, 1, tensor, scratch.data()).ok();
  syscall(0x5eed, tag + 1);
}

}  // namespace

int main() {
  int tag = 0;
  for (const Case& each : kCases)
    for (Isa isa : available_isas()) {
      std::printf("case %d\t%s\t%s\t%d\n", tag, name_of(isa), each.name, each.side * each.side);
      std::fflush(stdout);
      count(each, isa, tag);
      tag += 2;
    }
  return 0;
}
