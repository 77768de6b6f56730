// mnnlite._core: the image room.
#include <pybind11/pybind11.h>

#include "image/cpu.hpp"

namespace mnnlite::python {

void bind_image(pybind11::module_& module) {
  module.def("cpu_isas", [] {
    pybind11::list names;
    for (Isa isa : available_isas()) names.append(name_of(isa));
    return names;
  });
  module.def("active_isa", [] { return name_of(active_isa()); });
}

}  // namespace mnnlite::python
