// A decoder as Python describes it, built in or a plug-in's capsule.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "decode/decoder.hpp"

namespace mnnlite::python {

namespace py = pybind11;

struct OwnedDecoder {
  py::object owner;  // a plug-in's capsule must outlive the decoder, so it is declared before and destroyed after
  std::unique_ptr<Decoder> decoder;
};

// `family`: a family's name, or a capsule named MNNLITE_DECODER_CAPSULE that holds a mnnlite_decoder_v2. `options`: text
// keys; numbers, booleans, texts, sequences of numbers or of texts (joined by line feeds); None is left out. Raises.
OwnedDecoder make_decoder_from_python(const py::object& family, const py::dict& options);

// The fields of mnnlite.decoders.BatchItem, in its order.
py::tuple item_to_python(const mnnlite_item& item);

}  // namespace mnnlite::python
