// mnnlite._core: the decode room.
#include <pybind11/pybind11.h>

#include "decode/registry.hpp"

namespace mnnlite::python {

void bind_decode(pybind11::module_& module) {
  module.def("decoder_families", [] {
    pybind11::list names;
    for (const char* name : decoder_families()) names.append(name);
    return names;
  });
}

}  // namespace mnnlite::python
