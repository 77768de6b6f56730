// Hostile tensors: any shape, any bits. Under the sanitizers, whatever comes must be an error or finite rows.
// MNNLITE_HOSTILE_SECONDS sets how long each family is tried; the default is short.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "decode_harness.hpp"
#include "decode_variants.hpp"

using namespace mnnlite;
using namespace mnnlite::test;

namespace {

using Random = std::mt19937;

int pick(Random& random, std::initializer_list<int> choices) { return choices.begin()[random() % choices.size()]; }

float any_float(Random& random, int style) {
  const float unit = static_cast<float>(random() % 20001) / 10000.0f - 1.0f;
  switch (style) {
    case 0: return unit;
    case 1: return std::fabs(unit);
    case 2: return unit * 100;
    case 3: {
      const uint32_t bits = static_cast<uint32_t>(random());  // NaN, infinities and denormals among them
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    }
    default: return random() % 50 == 0 ? any_float(random, 3) : std::fabs(unit);
  }
}

void fill(Random& random, Tensor& tensor) {
  const int style = pick(random, {0, 0, 1, 1, 1, 2, 2, 3, 4});
  for (size_t i = 0; i < tensor.size(); ++i) switch (dtype_of(tensor.view)) {
      case DType::f32: tensor.as<float>()[i] = any_float(random, style); break;
      case DType::f16:
        tensor.as<uint16_t>()[i] = static_cast<uint16_t>(style == 3 ? random() : random() % 0x4000);
        break;
      case DType::i32: tensor.as<int32_t>()[i] = static_cast<int32_t>(style == 3 ? random() : random() % 20); break;
      case DType::u8:
      case DType::i8: tensor.memory[i] = static_cast<uint8_t>(style == 3 ? random() : random() % 20); break;
    }
}

Tensor any_tensor(Random& random) {
  std::vector<int32_t> dims;
  const int rank = pick(random, {1, 2, 3, 3, 4, 4, 4, 4, 5, 6});
  int64_t count = 1;
  for (int axis = 0; axis < rank; ++axis) {
    int extent = axis == 0 ? pick(random, {1, 1, 1, 2, 3})
                           : pick(random, {1, 2, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 20, 33, 84, 100});
    if (count * extent > 60000) extent = 1;
    count *= extent;
    dims.push_back(extent);
  }
  Tensor tensor(dims, pick(random, {1, 1, 1, 1, 2, 3, 4, 5}),
                pick(random, {0, 0, 0, 1, 2, rank > 1 ? 3 : 0, rank > 1 ? 4 : 0}));
  fill(random, tensor);
  return tensor;
}

mnnlite_item any_item(Random& random, int index) {
  mnnlite_item item = whole_frame(pick(random, {1, 16, 320, 641}), pick(random, {1, 16, 320, 641}),
                                  pick(random, {1, 17, 640}), pick(random, {1, 17, 480}), index);
  if (random() % 4 == 0)
    for (double& entry : item.to_frame) entry = any_float(random, pick(random, {0, 2, 4}));
  if (random() % 8 == 0) item.net_width = item.net_height = 0;
  return item;
}

int64_t pixels_of(const mnnlite_row& row, int32_t kind) {
  if (kind == MNNLITE_INSTANCES) return (int64_t{row.width} + 7) / 8 * row.height;
  if (kind == MNNLITE_MAPS) return row.value_count == 9 ? int64_t{row.width} * row.height * row.channels : 0;
  return int64_t{row.width} * row.height;
}

void check_rows(const char* family, const mnnlite_sink& sink, int32_t kind) {
  bool fine = sink.row_count >= 0 && sink.row_count <= sink.row_capacity && sink.value_count <= sink.value_capacity &&
              sink.char_count <= sink.char_capacity && sink.pixel_count <= sink.pixel_capacity;
  for (int32_t i = 0; i < sink.row_count; ++i) {
    const mnnlite_row& row = sink.rows[i];
    fine = fine && std::isfinite(row.score) && std::isfinite(row.area);
    for (float value : row.box) fine = fine && std::isfinite(value);
    fine =
        fine && row.first_value >= 0 && row.value_count >= 0 && row.first_value + row.value_count <= sink.value_count;
    fine = fine && row.first_char >= 0 && row.char_count >= 0 && row.first_char + row.char_count <= sink.char_count;
    fine = fine && row.first_pixel >= 0 && pixels_of(row, kind) + row.first_pixel <= sink.pixel_count;
  }
  for (int32_t i = 0; i < sink.value_count; ++i) fine = fine && std::isfinite(sink.values[i]);
  CHECK_MESSAGE(fine, family);
}

// Calls of malloc while `counting`, told by AddressSanitizer.
int64_t allocations = 0;
bool counting = false;
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, size_t),
                                                         void (*)(const volatile void*)) __attribute__((weak));

bool count_allocations() {
  static const bool hooked =
      __sanitizer_install_malloc_and_free_hooks &&
      __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t) { allocations += counting ? 1 : 0; },
                                                [](const volatile void*) {}) != 0;
  return hooked;
}

double seconds() {
  const char* text = std::getenv("MNNLITE_HOSTILE_SECONDS");
  return text ? std::atof(text) : 0.3;
}

}  // namespace

TEST_CASE("hostile tensors are errors or finite rows") {
  for (const char* family : decoder_families()) {
    Random random(7);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds());
    int decoded = 0, refused = 0;
    while (std::chrono::steady_clock::now() < end) {
      Planned decoder(family);
      REQUIRE(decoder.status.ok());
      std::vector<Tensor> tensors;
      std::vector<TensorView> views;
      const int count = pick(random, {1, 1, 1, 2, 3, 6});
      for (int i = 0; i < count; ++i) tensors.push_back(any_tensor(random));
      for (Tensor& tensor : tensors) views.push_back(tensor.view);
      const int max_items = pick(random, {1, 1, 1, 2});
      if (!decoder.plan(views, max_items).ok()) {
        ++refused;
        continue;
      }
      for (int call = 0; call < 4; ++call) {
        std::vector<mnnlite_item> items;
        for (int i = 0; i < max_items; ++i) items.push_back(any_item(random, i));
        if (decoder.decode(views, items).ok()) {
          ++decoded;
          check_rows(family, decoder.buffer.sink(), decoder.buffer.kind());
        }
        for (Tensor& tensor : tensors) fill(random, tensor);
      }
    }
    MESSAGE(std::string(family) << ": " << decoded << " decoded, " << refused << " refused");
  }
}

TEST_CASE("shapes that fit, with numbers that do not") {
  for (const Variant& variant : variants()) {
    Random random(11);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds() / 4);
    int decoded = 0, refused = 0, rows = 0;
    while (std::chrono::steady_clock::now() < end) {
      Planned decoder(variant.family, variant.options);
      REQUIRE_MESSAGE(decoder.status.ok(), decoder.status.text);
      std::vector<Tensor> tensors;
      std::vector<TensorView> views;
      for (const std::vector<int32_t>& shape : variant.shapes) tensors.emplace_back(shape, variant.dtype);
      for (Tensor& tensor : tensors) views.push_back(tensor.view);
      const Status planned = decoder.plan(views, 2);
      REQUIRE_MESSAGE(planned.ok(), planned.text);
      for (int call = 0; call < 8; ++call) {
        for (Tensor& tensor : tensors) fill(random, tensor);
        std::vector<mnnlite_item> items{any_item(random, 0), any_item(random, 1)};
        for (mnnlite_item& item : items)
          if (random() % 8 != 0) item.net_width = variant.net_width, item.net_height = variant.net_height;
        decoder.buffer.reset();
        if (decoder.decode(views, items).ok()) {
          ++decoded;
          rows += decoder.buffer.sink().row_count;
          check_rows(variant.family, decoder.buffer.sink(), decoder.buffer.kind());
        } else {
          ++refused;
        }
      }
    }
    CHECK_MESSAGE((decoded > 0 || variant.shapes.empty()), std::string(variant.family));
    MESSAGE(std::string(variant.family) << ": " << decoded << " decoded to " << rows << " rows, " << refused
                                        << " refused");
  }
}

TEST_CASE("decode allocates nothing") {
#ifndef __SANITIZE_ADDRESS__
  MESSAGE("not counted here: only AddressSanitizer calls the hook");
  return;
#endif
  REQUIRE(count_allocations());
  for (const Variant& variant : variants()) {
    Random random(5);
    Planned decoder(variant.family, variant.options);
    std::vector<Tensor> tensors;
    std::vector<TensorView> views;
    for (const std::vector<int32_t>& shape : variant.shapes) tensors.emplace_back(shape, variant.dtype);
    for (Tensor& tensor : tensors) {
      for (size_t i = 0; i < tensor.size(); ++i) {
        if (variant.dtype == MNNLITE_F32)
          tensor.as<float>()[i] = any_float(random, 1);
        else
          tensor.memory[i] = static_cast<uint8_t>(random() % 3);
      }
      views.push_back(tensor.view);
    }
    REQUIRE(decoder.plan(views, 2).ok());
    const std::vector<mnnlite_item> items{whole_frame(variant.net_width, variant.net_height, 640, 480, 0),
                                          whole_frame(variant.net_width, variant.net_height, 640, 480, 1)};
    allocations = 0;
    counting = true;
    const Status status = decoder.decode(views, items);
    counting = false;
    CHECK_MESSAGE(status.ok(), status.text);
    CHECK_MESSAGE(allocations == 0, std::string(variant.family));
  }
  counting = true;
  delete[] new volatile char[10];  // the hook does see them
  counting = false;
  CHECK(allocations > 0);
}

TEST_CASE("huge and senseless dims are refused before anything is multiplied out") {
  for (const char* family : decoder_families())
    for (const std::vector<int32_t>& dims :
         std::vector<std::vector<int32_t>>{{INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX},
                                           {1, 85, 65535, 65535},
                                           {1, 1 << 30, 1, 1},
                                           {1, 6, INT32_MAX, 1},
                                           {0, 85, 22, 22},
                                           {1, -85, 22, 22},
                                           {1, 85, INT32_MIN, 22}}) {
      Planned decoder(family);
      TensorView view{};
      view.name = "y";
      view.dtype = MNNLITE_F32;
      view.rank = static_cast<int32_t>(dims.size());
      for (size_t i = 0; i < dims.size(); ++i) view.dims[i] = dims[i];
      mnnlite_needs needs{};
      const Status status = decoder.decoder->plan(&view, 1, 1, needs);
      if (dims[1] != 1 << 30 && std::string(family) != "raw") CHECK_FALSE(status.ok());
      view.rank = 99;
      CHECK_FALSE(decoder.decoder->plan(&view, 1, 1, needs).ok());
      view.rank = 4;
      view.dtype = 77;
      CHECK_FALSE(decoder.decoder->plan(&view, 1, 1, needs).ok());
    }
}
