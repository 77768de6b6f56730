// Every layout and dtype reads as the same floats.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode_harness.hpp"

using namespace mnnlite;
using namespace mnnlite::test;

namespace {

// The value of element (n, c, y, x), small enough to be exact in every dtype.
int value_at(int n, int c, int y, int x) { return (n * 31 + c * 7 + y * 3 + x) % 100; }

uint16_t half_of(int whole) {
  // Exact for 0..2047: find the exponent by hand.
  if (whole == 0) return 0;
  int exponent = 0;
  while ((whole >> (exponent + 1)) != 0) ++exponent;
  return static_cast<uint16_t>(((exponent + 15) << 10) | ((whole << (10 - exponent)) & 0x3ff));
}

void store(Tensor& tensor, size_t index, int value) {
  switch (dtype_of(tensor.view)) {
    case DType::f32: tensor.as<float>()[index] = static_cast<float>(value); break;
    case DType::f16: tensor.as<uint16_t>()[index] = half_of(value); break;
    case DType::i32: tensor.as<int32_t>()[index] = value; break;
    case DType::u8: tensor.as<uint8_t>()[index] = static_cast<uint8_t>(value); break;
    case DType::i8: tensor.as<int8_t>()[index] = static_cast<int8_t>(value); break;
  }
}

Tensor filled(int n, int c, int h, int w, int32_t dtype, int32_t layout) {
  Tensor tensor(layout == MNNLITE_NHWC ? std::vector<int32_t>{n, h, w, c} : std::vector<int32_t>{n, c, h, w}, dtype,
                layout);
  const int pack = pack_of(static_cast<Layout>(layout)), groups = (c + pack - 1) / pack;
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < c; ++k)
      for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
          const int index = layout == MNNLITE_NHWC ? ((i * h + y) * w + x) * c + k
                                                   : (((i * groups + k / pack) * h + y) * w + x) * pack + k % pack;
          store(tensor, static_cast<size_t>(index), value_at(i, k, y, x));
        }
  return tensor;
}

}  // namespace

TEST_CASE("every layout and dtype reads as the same floats, in either order") {
  const int n = 2, h = 3, w = 5;
  for (int c : {1, 3, 4, 9})
    for (int32_t dtype : {MNNLITE_F32, MNNLITE_F16, MNNLITE_I32, MNNLITE_U8, MNNLITE_I8})
      for (int32_t layout : {MNNLITE_PLAIN, MNNLITE_NCHW, MNNLITE_NHWC, MNNLITE_NC4HW4, MNNLITE_NC8HW8})
        for (Order order : {Order::chw, Order::hwc}) {
          Tensor tensor = filled(n, c, h, w, dtype, layout);
          mnnlite_needs needs{};
          Needs wanted(needs, n);
          Reader reader;
          REQUIRE(reader.plan("test", tensor.view, order, wanted).ok());
          Block scratch;
          REQUIRE(scratch.reserve(needs.scratch));
          mnnlite_sink sink{};
          const Call call{&tensor.view, 1, nullptr, n, sink, static_cast<char*>(scratch.data())};
          for (int i = 0; i < n; ++i) {
            const float* values = reader.read(call, tensor.view, i);
            bool same = true;
            for (int k = 0; k < c; ++k)
              for (int y = 0; y < h; ++y)
                for (int x = 0; x < w; ++x) {
                  const int index = order == Order::chw ? (k * h + y) * w + x : (y * w + x) * c + k;
                  same = same && values[index] == static_cast<float>(value_at(i, k, y, x));
                }
            CHECK_MESSAGE(same, "dtype " << dtype << " layout " << layout << " channels " << c);
          }
        }
}

TEST_CASE("quantised integers are read by their scale and zero point") {
  Tensor tensor({1, 3}, MNNLITE_I8);
  tensor.view.scale = 0.5f;
  tensor.view.zero_point = -2;
  tensor.as<int8_t>()[0] = -128;
  tensor.as<int8_t>()[1] = -2;
  tensor.as<int8_t>()[2] = 127;
  mnnlite_needs needs{};
  Needs wanted(needs, 1);
  Reader reader;
  REQUIRE(reader.plan("test", tensor.view, Order::flat, wanted).ok());
  Block scratch;
  REQUIRE(scratch.reserve(needs.scratch));
  mnnlite_sink sink{};
  const float* values =
      reader.read(Call{&tensor.view, 1, nullptr, 1, sink, static_cast<char*>(scratch.data())}, tensor.view, 0);
  CHECK(values[0] == -63.0f);
  CHECK(values[1] == 0.0f);
  CHECK(values[2] == 64.5f);
}

TEST_CASE("all halves") {
  for (uint32_t half = 0; half < 65536; ++half) {
    const uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
    const double sign = half & 0x8000 ? -1 : 1;
    const float value = half_to_float(static_cast<uint16_t>(half));
    if (exponent == 31) {
      CHECK((mantissa ? std::isnan(value) : std::isinf(value)));
      continue;
    }
    const double wanted =
        exponent ? std::ldexp(1024.0 + mantissa, static_cast<int>(exponent) - 25) : std::ldexp(mantissa, -24);
    if (static_cast<double>(value) != sign * wanted) FAIL("half " << half << " is " << value);
  }
}

TEST_CASE("exp is within 2e-7 of the true one, and its limits are finite") {
  double worst = 0;
  for (float x = -87.0f; x < 88.0f; x += 0.00113f)
    worst = std::max(worst, std::fabs(static_cast<double>(exp_f32(x)) / std::exp(static_cast<double>(x)) - 1));
  CHECK(worst < 2e-7);
  for (float x : {-1e30f, -87.1f, 88.1f, 1e30f}) CHECK(std::isfinite(exp_f32(x)));
  CHECK(exp_f32(0) == 1.0f);
  CHECK(sigmoid_f32(0) == 0.5f);
  CHECK(std::fabs(tanh_f32(0.5f) - std::tanh(0.5f)) < 1e-6f);
  CHECK(logit_of(0) < -1e30f);
  CHECK(logit_of(1) > 1e30f);
}

TEST_CASE("all_finite sees one bad number wherever it is") {
  std::vector<float> values(67, 1.0f);
  CHECK(all_finite(values.data(), 67));
  for (size_t i = 0; i < 67; ++i)
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      values[i] = bad;
      CHECK_FALSE(all_finite(values.data(), 67));
      values[i] = -3e38f;
    }
  CHECK(all_finite(values.data(), 67));
}
