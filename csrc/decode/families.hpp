// The built-in families, each in the file of its name or of its kind. make_NAME reads its options and leaves it to the registry
// to ask whether something was wrong.
#pragma once

#include <memory>

#include "decode/common/options.hpp"
#include "decode/decoder.hpp"
#include "decode/families.inc"  // MNNLITE_FAMILIES, the one list of them, which CMakeLists.txt makes

namespace mnnlite {

#define MNNLITE_DECLARE(family) std::unique_ptr<Decoder> make_##family(Options& options);
MNNLITE_FAMILIES(MNNLITE_DECLARE)
#undef MNNLITE_DECLARE

}  // namespace mnnlite
