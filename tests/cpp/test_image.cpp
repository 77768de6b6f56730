#include <doctest/doctest.h>

#include "image/cpu.hpp"

TEST_CASE("the baseline is always available") { CHECK(mnnlite::available_isas().front() == mnnlite::Isa::baseline); }
