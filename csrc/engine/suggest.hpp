// "No such tensor", with what there is and what was probably meant.
#pragma once

#include <string>
#include <vector>

#include "core/status.hpp"

namespace mnnlite {

// `kind` is "input" or "output". Names the closest of `known` by edit distance.
Status unknown_name(const char* kind, const char* name, const std::vector<std::string>& known);

}  // namespace mnnlite
