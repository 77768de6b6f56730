// One operator of a file that is being verified, and the checks of what it says of itself.
#pragma once

#include <cstdint>
#include <string>

#include "engine/verify_reader.hpp"

namespace mnnlite {

constexpr uint32_t kMostAxes = 8;

// Weights in a file of their own: what operators say about it, and how much of it there is.
struct ExternalBytes {
  int64_t available = -1;  // -1: there is no such file
  int64_t used = 0;
  bool missing = false, beyond = false;

  // Whether a range of the file (first its offset, then the sizes of parts that follow one another) lies inside of it.
  bool take(const Values<int64_t>& range, uint32_t parts) noexcept;
};

struct Operator {
  int32_t type = 0;
  T attribute = T::count;  // count: none, or one that is not known
  Record record;           // the attribute's
  Values<int32_t> inputs, outputs;
  bool named = false;
  bool plain = false;  // it has no attribute at all
  uint8_t layout = 1;  // its own: NHWC where it says none
};

// Null, or what is wrong. All are plain texts, made to follow "operator 3 "name" (Type): ".
using Fault = const char*;

Fault check_attribute(const Operator& op, ExternalBytes& external) noexcept;  // verify_rules.cpp
Fault check_pool(const Record& pool) noexcept;                                // verify_kernels.cpp
Fault check_pool_3d(const Record& pool) noexcept;
Fault check_convolution_3d(const Record& convolution) noexcept;
Fault check_tf_convolution(const Record& record) noexcept;
Fault check_convolution(const Operator& op, ExternalBytes& external) noexcept;  // verify_weights.cpp
Fault check_constant(const Record& blob, bool is_operator, ExternalBytes& external) noexcept;

// How many weights a convolution has, wherever they are; 0 if they are an input. -1: that cannot be told.
int64_t weights_of(const Operator& op) noexcept;

// A name from a file, short, without what a terminal would act on.
std::string printable(const std::string& name);

// The product of sizes, -1 if one is negative, it has more than kMostAxes, or it exceeds 2^31 - 1.
int64_t elements_of(const Values<int32_t>& dims) noexcept;

}  // namespace mnnlite
