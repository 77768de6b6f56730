// Runs each kernel, decoder and task once between two marks, for what counts instructions: callgrind, or on ARM the emulator
// (tools/arm/count_instructions.c). `make gate` and `make arm-gate` compare that with what was counted before
// (tools/counts.py). Not a test and not a timer.
#if defined(__x86_64__)
#include <valgrind/callgrind.h>
#else
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cctype>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "core/isa.hpp"
#include "decode_variants.hpp"
#include "image/formats.hpp"
#include "image/plan.hpp"
#include "task/run_all.hpp"
#include "task_rig.hpp"

using namespace mnnlite;
using namespace mnnlite::test;

namespace {

#if !defined(__x86_64__)
long marks = 0;
#endif

// Once to touch memory and to make what is made the first time, and once to be counted.
template <class F>
void count(const std::string& name, F work) {
  work();
#if defined(__x86_64__)
  CALLGRIND_ZERO_STATS;
  work();
  CALLGRIND_DUMP_STATS_AT(name.c_str());
#else
  std::printf("case %ld %s\n", marks, name.c_str());
  std::fflush(stdout);
  syscall(0x5eed, marks++);
  work();
  syscall(0x5eed, marks++);
#endif
}

// What the decoders have kernels for: on ARM the baseline is NEON.
#if defined(__x86_64__)
constexpr const char* kDecodeIsas[] = {"baseline", "avx2"};
constexpr const char* kFastest = "avx2";
#else
constexpr const char* kDecodeIsas[] = {"baseline"};
constexpr const char* kFastest = "neon";
#endif

struct Bytes {  // the same on every machine
  uint32_t state = 1;
  uint32_t next() { return (state = state * 1664525u + 1013904223u) >> 16; }
};

// ---- kernels: each format by each way of sampling, and each way of storing ------------------------------------------

// "nv12", "bgr16".
std::string name_of_format(Format format) {
  const image::FormatInfo& info = image::info_of(format);
  std::string name = info.name;
  for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return info.sample_bytes == 2 ? name + "16" : name;
}

struct Store {
  const char* name;
  DType dtype;
  Layout layout;
  double scale;
};
constexpr Store kStores[] = {{"f32", DType::f32, Layout::nchw, 0},          {"f32 nhwc", DType::f32, Layout::nhwc, 0},
                             {"f32 nc4hw4", DType::f32, Layout::nc4hw4, 0}, {"f16", DType::f16, Layout::nchw, 0},
                             {"f16 nhwc", DType::f16, Layout::nhwc, 0},     {"u8", DType::u8, Layout::nchw, 1},
                             {"u8 nhwc", DType::u8, Layout::nhwc, 1},       {"i8", DType::i8, Layout::nchw, 2},
                             {"i8 nhwc", DType::i8, Layout::nhwc, 2}};

void count_image(Isa isa, Format format, Filter filter, bool warped, const Store& store, Color color) {
  constexpr int32_t kWidth = 160, kHeight = 120, kSide = 64;
  ImageView view;
  view.format = format;
  view.width = kWidth;
  view.height = kHeight;
  Bytes bytes;
  Block memory[3];
  for (int plane = 0; plane < image::info_of(format).planes; ++plane) {
    view.stride[plane] = image::row_bytes(format, plane, kWidth);
    const size_t size = static_cast<size_t>(view.stride[plane] * image::rows_of(format, plane, kHeight));
    REQUIRE(memory[plane].reserve(size));
    uint8_t* data = static_cast<uint8_t*>(memory[plane].data());
    for (size_t i = 0; i < size; ++i) data[i] = static_cast<uint8_t>(bytes.next());
    view.plane[plane] = data;
  }
  TensorView tensor{};
  tensor.name = "counted";
  tensor.dtype = static_cast<int32_t>(store.dtype);
  tensor.layout = static_cast<int32_t>(store.layout);
  tensor.rank = 4;
  tensor.dims[0] = 1;
  for (int axis = 1; axis < 4; ++axis) tensor.dims[axis] = kSide;
  tensor.dims[store.layout == Layout::nhwc ? 3 : 1] = channels_of(color);
  ImageSpec spec;
  spec.filter = filter;
  spec.color = color;
  spec.scale = store.scale;
  spec.has_zero_point = store.scale > 0;
  Block out, scratch;
  ImagePlan plan;
  const Status made = ImagePlan::make(spec, format, tensor, 1, plan, &isa);
  INFO(made.text);
  REQUIRE(made.ok());
  REQUIRE(out.reserve(stored_bytes(tensor)));
  REQUIRE(scratch.reserve(plan.scratch_bytes(kWidth, kHeight)));
  tensor.data = out.data();
  Region region{Mapping{}, kWidth, kHeight};
  if (warped) region = {Mapping{{0.9, -0.2, 14, 0.2, 0.9, -8, 0, 0, 1}}, kWidth, kHeight};
  const std::string name = std::string("image ") + name_of(isa) + " " + name_of_format(format) + " " +
                           (filter == Filter::area      ? "area"
                            : filter == Filter::nearest ? "nearest"
                            : warped                    ? "warped"
                                                        : "bilinear") +
                           " " + store.name + (color == Color::gray ? " gray" : "");
  count(name, [&] { (void)plan.run(view, &region, 1, tensor, scratch.data()); });
}

}  // namespace

TEST_CASE("image") {
  for (const Isa isa : available_isas()) {
    for (int format = 0; format < kFormatCount; ++format) {
      const Format each = static_cast<Format>(format);
      count_image(isa, each, Filter::bilinear, false, kStores[0], Color::rgb);
      count_image(isa, each, Filter::bilinear, true, kStores[0], Color::rgb);
      count_image(isa, each, Filter::area, false, kStores[0], Color::rgb);
    }
    for (const Format format : {Format::gray, Format::bgr, Format::nv12})
      count_image(isa, format, Filter::bilinear, false, kStores[0], Color::gray);
    count_image(isa, Format::bgr, Filter::nearest, false, kStores[0], Color::rgb);
    count_image(isa, Format::bgra, Filter::bilinear, false, kStores[6], Color::bgra);
    for (size_t store = 1; store < std::size(kStores); ++store)
      count_image(isa, Format::bgr, Filter::bilinear, false, kStores[store], Color::rgb);
  }
}

// ---- decoders: every family with the options that make it take another way ----------------------------------------

TEST_CASE("decode") {
  for (const char* isa : kDecodeIsas) {
    REQUIRE(force_isa(isa).ok());
    std::map<std::string, int> number;  // of a family's variants
    for (const Variant& each : variants()) {
      Planned decoder(each.family, each.options);
      REQUIRE(decoder.status.ok());
      Bytes bytes;
      std::vector<Block> memory(each.shapes.size());
      std::vector<TensorView> views;
      for (size_t i = 0; i < each.shapes.size(); ++i) {
        TensorView view{};
        view.name = "y";
        view.dtype = each.dtype;
        view.layout = MNNLITE_PLAIN;
        view.rank = static_cast<int32_t>(each.shapes[i].size());
        std::copy(each.shapes[i].begin(), each.shapes[i].end(), view.dims);
        REQUIRE(memory[i].reserve(stored_bytes(view)));
        view.data = memory[i].data();
        for (size_t k = 0; k < stored_elements(view); ++k)
          if (each.dtype == MNNLITE_U8)
            static_cast<uint8_t*>(view.data)[k] = static_cast<uint8_t>(bytes.next() % 20);
          else  // probabilities, most of them small
            static_cast<float*>(view.data)[k] = std::pow(static_cast<float>(bytes.next() % 1000) / 1000.0f, 3.0f);
        views.push_back(view);
      }
      const Status planned = decoder.plan(views, 2);
      INFO(each.family << ": " << planned.text);
      REQUIRE(planned.ok());
      const std::vector<mnnlite_item> items{whole_frame(each.net_width, each.net_height, 640, 480),
                                            whole_frame(each.net_width, each.net_height, 640, 480, 1)};
      const std::string name =
          std::string("decode ") + isa + " " + each.family + " " + std::to_string(++number[each.family]);
      count(name, [&] { (void)decoder.decode(views, items); });
    }
    REQUIRE(force_isa(nullptr).ok());
  }
}

// ---- tasks, over an engine that computes next to nothing -----------------------------------------------------------

TEST_CASE("tasks") {
  REQUIRE(force_isa(kFastest).ok());
  const Rig one(32);
  const Picture picture(64, 48, 1);
  count("Task::run", [&] { (void)one.task->run(&picture.item, 1); });

  std::vector<Rig> rigs;
  std::vector<ScheduledTask> due;
  for (int i = 0; i < 4; ++i) {
    rigs.emplace_back(8);
    due.push_back({std::make_shared<GraphNode>(rigs.back().task), kNoLimit});
  }
  std::vector<TaskOutcome> outcomes(4);
  Running running;
  count("run_all of 4 tasks", [&] {
    for (size_t i = 0; i < 4; ++i) {
      due[i].node->recycle(outcomes[i].results);
      outcomes[i] = TaskOutcome{};
    }
    run_all(due, picture.item, outcomes, running);
  });
  for (const TaskOutcome& outcome : outcomes) CHECK(outcome.state == TaskOutcome::ran);
  REQUIRE(force_isa(nullptr).ok());
}
