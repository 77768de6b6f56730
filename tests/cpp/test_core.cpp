#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "core/isa.hpp"
#include "core/mapping.hpp"
#include "core/memory.hpp"
#include "core/status.hpp"
#include "core/views.hpp"

using namespace mnnlite;

TEST_CASE("a status keeps a text that fits and cuts one that does not") {
  const Status fine;
  CHECK(fine.ok());
  const Status bad = Status::error(Code::argument, "threads must be at least 1, got %d", 0);
  CHECK_FALSE(bad.ok());
  CHECK(std::string(bad.text) == "threads must be at least 1, got 0");
  const std::string longer(1000, 'x');
  CHECK(std::string(Status::error(Code::argument, "%s", longer.c_str()).text).size() == sizeof(Status::text) - 1);
}

TEST_CASE("MNNLITE_TRY leaves with the first failure and goes on otherwise") {
  auto chain = [](bool fail) -> Status {
    MNNLITE_TRY(Status{});
    MNNLITE_TRY(fail ? Status::error(Code::busy, "first") : Status{});
    return Status::error(Code::closed, "second");
  };
  CHECK(chain(true).code == Code::busy);
  CHECK(chain(false).code == Code::closed);
}

TEST_CASE("packed layouts count the padding of the last group of channels") {
  TensorView tensor{};
  tensor.dtype = MNNLITE_F32;
  tensor.rank = 4;
  const int32_t dims[4] = {2, 5, 3, 7};
  for (int axis = 0; axis < 4; ++axis) tensor.dims[axis] = dims[axis];
  tensor.layout = MNNLITE_NCHW;
  CHECK(stored_elements(tensor) == 2 * 5 * 3 * 7);
  tensor.layout = MNNLITE_NC4HW4;
  CHECK(stored_elements(tensor) == 2 * 8 * 3 * 7);
  CHECK(stored_bytes(tensor) == 4 * 2 * 8 * 3 * 7);
  tensor.layout = MNNLITE_NC8HW8;
  tensor.dtype = MNNLITE_F16;
  CHECK(stored_bytes(tensor) == 2 * 2 * 8 * 3 * 7);
  tensor.rank = 0;
  CHECK(stored_elements(tensor) == 1);
}

TEST_CASE("a mapping composed with its inverse is the identity") {
  const Mapping quad{{1.2, 0.3, 5, -0.2, 0.9, 7, 1e-3, -2e-3, 1}};
  Mapping inverse;
  REQUIRE(quad.inverse(inverse));
  for (double x : {0.0, 3.5, 640.0})
    for (double y : {0.0, 11.25, 359.0}) {
      double u, v, back_x, back_y;
      quad.apply(x, y, u, v);
      inverse.apply(u, v, back_x, back_y);
      CHECK(back_x == doctest::Approx(x).epsilon(1e-9));
      CHECK(back_y == doctest::Approx(y).epsilon(1e-9));
    }
  CHECK_FALSE(quad.axis_aligned());
  CHECK_FALSE(quad.affine());
  const Mapping collapsed{{1, 2, 0, 2, 4, 0, 0, 0, 1}};
  CHECK_FALSE(collapsed.inverse(inverse));
}

TEST_CASE("compose applies the inner map first") {
  const Mapping crop = Mapping::scale_shift(1, 1, 100, 50);
  const Mapping half = Mapping::scale_shift(0.5, 0.5, 0, 0);
  double x, y;
  Mapping::compose(crop, half).apply(10, 20, x, y);
  CHECK(x == 105);
  CHECK(y == 60);
}

TEST_CASE("a block is aligned, grows and never shrinks") {
  Block block;
  CHECK(block.data() == nullptr);
  REQUIRE(block.reserve(100));
  CHECK(reinterpret_cast<uintptr_t>(block.data()) % kAlignment == 0);
  CHECK(block.size() >= 100);
  void* before = block.data();
  REQUIRE(block.reserve(10));
  CHECK(block.data() == before);
  CHECK_FALSE(block.reserve(SIZE_MAX - 4095));  // more than an address space has room for
  CHECK(block.size() == 0);
  REQUIRE(block.reserve(1));
}

TEST_CASE("the baseline is always available") { CHECK(available_isas().front() == Isa::baseline); }

TEST_CASE("a forced instruction set is taken, an unknown one refused") {
  for (Isa isa : available_isas()) {
    REQUIRE(force_isa(name_of(isa)).ok());
    Isa chosen;
    REQUIRE(choose_isa(chosen).ok());
    CHECK(chosen == isa);
    CHECK(active_isa() == isa);
  }
  CHECK(force_isa("doesnotexist").code == Code::argument);
  CHECK(force_isa(nullptr).ok());
}
