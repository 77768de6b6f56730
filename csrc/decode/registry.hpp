// Decoders by the name of their family, and decoders that a plug-in brings.
#pragma once

#include <memory>
#include <vector>

#include "decode/common/options.hpp"
#include "decode/decoder.hpp"

namespace mnnlite {

std::vector<const char*> decoder_families();

// Code::argument: no such family, an unknown option, an option's value that cannot be used, or an instruction set that this
// CPU cannot run (MNNLITE_FORCE_ISA).
Status make_decoder(const char* family, const mnnlite_option* options, int n,
                    std::unique_ptr<Decoder>& decoder) noexcept;

// The options that a family reads with these ones given, in the order it reads them: its own description. May throw bad_alloc.
Status describe_options(const char* family, const mnnlite_option* options, int n, std::vector<OptionAsked>& asked);

// An instance of a plug-in. Its table must outlive the decoder. Code::decoder_abi: built for another decoder.h.
Status adopt_decoder(const mnnlite_decoder_v2* table, const mnnlite_option* options, int n,
                     std::unique_ptr<Decoder>& decoder) noexcept;

}  // namespace mnnlite
