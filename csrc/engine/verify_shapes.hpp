// Whether the shapes that a verified network's inputs have fit its operators. The engine computes shapes without looking:
// channels that are not the weights', an axis that is not there, or a kernel larger than its input make it write outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/status.hpp"

namespace mnnlite {

struct NamedShape {
  std::string name;
  std::vector<int32_t> dims;
};

// `data` is a model that verify_model() has accepted. Only operators that `outputs` need (empty: all) are looked at; where
// a shape is not known (it comes out of an operator that is not followed, or of values), nothing is said.
Status verify_shapes(const void* data, const std::vector<NamedShape>& inputs,
                     const std::vector<std::string>& outputs) noexcept;

}  // namespace mnnlite
