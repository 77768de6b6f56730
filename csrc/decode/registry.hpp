// The decoder families that are built in, by name.
#pragma once

#include <vector>

namespace mnnlite {

std::vector<const char*> decoder_families();

}  // namespace mnnlite
