#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/isa.hpp"
#include "core/memory.hpp"
#include "guarded.hpp"
#include "image/formats.hpp"
#include "image/plan.hpp"

using namespace mnnlite;

namespace {

const std::vector<Format> kFormats = [] {
  std::vector<Format> all;
  for (int i = 0; i < kFormatCount; ++i) all.push_back(static_cast<Format>(i));
  return all;
}();
constexpr int kSizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97};

// A picture of noise whose planes end (or begin) where memory does.
struct Picture {
  ImageView view;
  std::vector<std::unique_ptr<Guarded>> planes;

  Picture(std::mt19937& random, Format format, int width, int height, int gap, bool at_end) {
    view.format = format;
    view.width = width;
    view.height = height;
    const image::FormatInfo& info = image::info_of(format);
    for (int plane = 0; plane < info.planes; ++plane) {
      const ptrdiff_t row = image::row_bytes(format, plane, width), stride = row + gap * info.sample_bytes;
      const int rows = image::rows_of(format, plane, height);
      planes.push_back(std::make_unique<Guarded>(static_cast<size_t>(stride * (rows - 1) + row), at_end));
      Guarded& memory = *planes.back();
      for (size_t i = 0; i < memory.size(); ++i) memory.data()[i] = static_cast<uint8_t>(random());
      view.plane[plane] = memory.data();
      view.stride[plane] = stride;
    }
  }
};

TensorView tensor_like(DType dtype, Layout layout, int n, int channels, int width, int height) {
  TensorView tensor{};
  tensor.name = "test";
  tensor.dtype = static_cast<int32_t>(dtype);
  tensor.layout = static_cast<int32_t>(layout);
  tensor.rank = 4;
  const bool last = layout == Layout::nhwc;
  const int32_t dims[4] = {n, last ? height : channels, last ? width : height, last ? channels : width};
  std::memcpy(tensor.dims, dims, sizeof dims);
  return tensor;
}

Region whole(const ImageView& view) {
  return {Mapping{}, static_cast<double>(view.width), static_cast<double>(view.height)};
}

// The tensor that a plan makes, between guards.
std::string run_bytes(const ImageSpec& spec, const ImageView& view, const Region& region, TensorView desc, Isa isa,
                      bool at_end) {
  ImagePlan plan;
  const Status made = ImagePlan::make(spec, view.format, desc, 1, plan, &isa);
  REQUIRE_MESSAGE(made.ok(), made.text);
  Guarded memory(stored_bytes(desc), at_end);
  std::memset(memory.data(), 0xa5, memory.size());
  desc.data = memory.data();
  const size_t bytes = plan.scratch_bytes(view.width, view.height);
  REQUIRE(bytes % kAlignment == 0);
  const Guarded scratch(bytes, true);
  std::memset(scratch.data(), 0x5a, bytes);  // nothing may depend on what a former run left
  const Status run = plan.run(view, &region, 1, desc, scratch.data());
  REQUIRE_MESSAGE(run.ok(), run.text);
  return {reinterpret_cast<const char*>(memory.data()), memory.size()};
}

Status make_status(const ImageSpec& spec, const TensorView& desc, int32_t items = 1) {
  ImagePlan plan;
  return ImagePlan::make(spec, Format::bgr, desc, items, plan);
}

}  // namespace

TEST_CASE("every instruction set gives the baseline's bits and stays within its memory") {
  std::mt19937 random(1);
  int turn = 0;
  for (Format format : kFormats)
    for (int width : kSizes)
      for (int target : {width, 1, 5, 8, 16, 33, 67}) {
        ++turn;
        const int height = kSizes[static_cast<size_t>(turn) % std::size(kSizes)];
        const Picture picture(random, format, width, height, turn % 4, turn % 2 == 0);
        ImageSpec spec;
        spec.filter = static_cast<Filter>(turn % 3);
        spec.color = static_cast<Color>(turn % 5);
        spec.fit = static_cast<Fit>(turn % 7 % 3);
        for (double& value : spec.std) value = 58.5;
        spec.mean[1] = 17;
        const auto dtype =
            std::vector<DType>{DType::f32, DType::f32, DType::u8, DType::f16, DType::i8}[static_cast<size_t>(turn) % 5];
        const Layout layout = turn % 3 != 0 ? Layout::nchw : static_cast<Layout>(1 + turn % 4);
        const TensorView desc = tensor_like(dtype, layout, 1, channels_of(spec.color), target, 1 + turn % 11);
        const Region region = whole(picture.view);
        const std::string wanted = run_bytes(spec, picture.view, region, desc, Isa::baseline, true);
        for (Isa isa : available_isas()) {
          CAPTURE(name_of(isa));
          CAPTURE(image::info_of(format).name);
          CAPTURE(width);
          CAPTURE(height);
          CAPTURE(target);
          CHECK(run_bytes(spec, picture.view, region, desc, isa, turn % 2 == 0) == wanted);
        }
      }
}

TEST_CASE("regions of any kind stay within memory, on every instruction set") {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> place(-40, 120), size(0.01, 150);
  for (int turn = 0; turn < 400; ++turn) {
    const Format format = kFormats[random() % std::size(kFormats)];
    const Picture picture(random, format, 1 + static_cast<int>(random() % 80), 1 + static_cast<int>(random() % 80),
                          static_cast<int>(random() % 3), turn % 2 == 0);
    Region region{Mapping::scale_shift(turn % 5 == 0 ? -1 : 1, 1, place(random), place(random)), size(random),
                  size(random)};
    ImageSpec spec;
    spec.fit = static_cast<Fit>(random() % 3);
    spec.filter = static_cast<Filter>(random() % 3);
    spec.color = static_cast<Color>(random() % 5);
    if (turn % 2 == 0) {
      double points[8];
      for (double& value : points) value = place(random);
      if (!image::region_of_quad(points, region).ok()) continue;
      if (spec.filter == Filter::area) spec.filter = Filter::bilinear;
    }
    const TensorView desc = tensor_like(DType::f32, Layout::nchw, 1, channels_of(spec.color),
                                        1 + static_cast<int>(random() % 70), 1 + static_cast<int>(random() % 20));
    const std::string wanted = run_bytes(spec, picture.view, region, desc, Isa::baseline, true);
    for (Isa isa : available_isas()) CHECK(run_bytes(spec, picture.view, region, desc, isa, turn % 3 == 0) == wanted);
  }
}

TEST_CASE("a constant picture stays constant, whatever the geometry") {
  std::vector<uint8_t> memory(50 * 40 * 3, 201);
  ImageView view;
  view.width = 50;
  view.height = 40;
  view.plane[0] = memory.data();
  view.stride[0] = 150;
  for (Filter filter : {Filter::nearest, Filter::bilinear, Filter::area}) {
    ImageSpec spec;
    spec.filter = filter;
    const TensorView desc = tensor_like(DType::f32, Layout::nchw, 1, 3, 37, 71);
    const std::string bytes = run_bytes(spec, view, whole(view), desc, Isa::baseline, true);
    for (size_t i = 0; i < bytes.size(); i += 4) {
      float value;
      std::memcpy(&value, bytes.data() + i, 4);
      REQUIRE(value == 201.0f);
    }
  }
}

TEST_CASE("the mapping of a plan leads network pixels to the frame and back") {
  ImageSpec spec;
  spec.width = 64;
  spec.height = 64;
  spec.fit = Fit::letterbox;
  ImagePlan plan;
  REQUIRE(ImagePlan::make(spec, Format::bgr, tensor_like(DType::f32, Layout::nchw, 1, 3, 64, 64), 1, plan).ok());
  const Mapping map = plan.mapping({Mapping::scale_shift(1, 1, 100, 50), 640, 360});
  double x, y;
  map.apply(0, 14, x, y);
  CHECK(x == doctest::Approx(100));
  CHECK(y == doctest::Approx(50));
  map.apply(64, 50, x, y);
  CHECK(x == doctest::Approx(740));
  CHECK(y == doctest::Approx(410));
}

TEST_CASE("several regions fill the first slots and leave the others alone") {
  std::mt19937 random(3);
  const Picture picture(random, Format::bgr, 40, 30, 0, true);
  TensorView desc = tensor_like(DType::f32, Layout::nchw, 3, 3, 8, 8);
  ImagePlan plan;
  REQUIRE(ImagePlan::make({}, Format::bgr, desc, 3, plan).ok());
  std::vector<float> out(3 * 3 * 64, -7);
  desc.data = out.data();
  Scratch scratch;
  REQUIRE(scratch.reserve(plan.scratch_bytes(40, 30)));
  const Region regions[2] = {whole(picture.view), {Mapping::scale_shift(1, 1, 5, 5), 10, 10}};
  REQUIRE(plan.run(picture.view, regions, 2, desc, scratch.data()).ok());
  CHECK(out[3 * 64] != -7);
  for (size_t i = 2 * 3 * 64; i < out.size(); ++i) REQUIRE(out[i] == -7);
  std::vector<float> second(3 * 3 * 64, -7);
  desc.data = second.data();
  const TensorView rest = slots_from(desc, 1);
  CHECK(rest.dims[0] == 2);
  REQUIRE(plan.run(picture.view, regions + 1, 1, rest, scratch.data()).ok());
  CHECK(std::equal(second.begin() + 3 * 64, second.begin() + 6 * 64, out.begin() + 3 * 64));
}

TEST_CASE("specs and tensors that do not fit are refused with the reason") {
  const TensorView good = tensor_like(DType::f32, Layout::nchw, 1, 3, 8, 8);
  CHECK(make_status({}, good).ok());
  ImageSpec spec;
  spec.std[1] = 0;
  CHECK(std::string(make_status(spec, good).text) == "std[1]: got 0, wanted a number other than 0");
  spec = {};
  spec.width = 9;
  spec.height = 8;
  CHECK(make_status(spec, good).code == Code::layout);
  spec = {};
  spec.color = Color::gray;
  CHECK(make_status(spec, good).code == Code::layout);
  spec = {};
  spec.dtype = MNNLITE_U8;
  CHECK(make_status(spec, good).code == Code::dtype);
  CHECK(make_status({}, tensor_like(DType::i32, Layout::nchw, 1, 3, 8, 8)).code == Code::dtype);
  CHECK(make_status({}, tensor_like(DType::f32, Layout::plain, 1, 3, 8, 8)).code == Code::layout);
  spec = {};
  spec.layout = MNNLITE_NHWC;
  CHECK(make_status(spec, good).code == Code::layout);  // the dims do not fit
  TensorView renamed = good;                            // NHWC data in a tensor that calls itself NCHW
  renamed.dims[1] = 8;
  renamed.dims[3] = 3;
  CHECK(make_status(spec, renamed).ok());
  CHECK(make_status(spec, tensor_like(DType::f32, Layout::nc4hw4, 1, 3, 8, 8)).code == Code::layout);
  CHECK(make_status({}, good, 2).code == Code::argument);
  TensorView flat = good;
  flat.rank = 3;
  CHECK(make_status({}, flat).code == Code::layout);
}

TEST_CASE("frames, regions and tensors of a run are checked") {
  std::mt19937 random(4);
  const Picture picture(random, Format::bgr, 8, 8, 0, true);
  TensorView desc = tensor_like(DType::f32, Layout::nchw, 1, 3, 8, 8);
  ImagePlan plan;
  REQUIRE(ImagePlan::make({}, Format::bgr, desc, 1, plan).ok());
  std::vector<float> out(3 * 64 + 1);
  desc.data = out.data();
  Scratch scratch;
  REQUIRE(scratch.reserve(plan.scratch_bytes(8, 8)));
  const Region good = whole(picture.view);
  const auto run = [&](const ImageView& view, const Region& region, const TensorView& tensor, int n = 1) {
    return plan.run(view, &region, n, tensor, scratch.data()).code;
  };
  CHECK(run(picture.view, good, desc) == Code::ok);
  CHECK(run(picture.view, good, desc, 0) == Code::ok);
  CHECK(run(picture.view, good, desc, 2) == Code::argument);
  ImageView view = picture.view;
  view.format = Format::rgb;
  CHECK(run(view, good, desc) == Code::argument);
  view = picture.view;
  view.width = 0;
  CHECK(run(view, good, desc) == Code::argument);
  view = picture.view;
  view.stride[0] = -24;
  CHECK(run(view, good, desc) == Code::layout);
  view.stride[0] = 23;
  CHECK(run(view, good, desc) == Code::layout);
  view = picture.view;
  view.plane[0] = nullptr;
  CHECK(run(view, good, desc) == Code::argument);
  Region region = good;
  region.width = 0;
  CHECK(run(picture.view, region, desc) == Code::argument);
  region = good;
  region.to_frame.m[2] = NAN;
  CHECK(run(picture.view, region, desc) == Code::argument);
  region = good;
  region.to_frame = Mapping{{1, 2, 0, 2, 4, 0, 0, 0, 1}};
  CHECK(run(picture.view, region, desc) == Code::argument);
  TensorView tensor = desc;
  tensor.data = nullptr;
  CHECK(run(picture.view, good, tensor) == Code::layout);
  tensor = desc;
  tensor.data = reinterpret_cast<uint8_t*>(out.data()) + 1;
  CHECK(run(picture.view, good, tensor) == Code::layout);
  tensor = desc;
  tensor.dims[2] = 7;
  CHECK(run(picture.view, good, tensor) == Code::layout);
}
