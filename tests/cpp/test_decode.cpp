#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "decode/registry.hpp"

TEST_CASE("raw is a family") { CHECK(std::strcmp(mnnlite::decoder_families().front(), "raw") == 0); }
