// mnnlite._core: the core room: which instruction set the kernels use, and the process's heap.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "core/heap.hpp"
#include "core/isa.hpp"
#include "errors.hpp"
#include "gil.hpp"

namespace mnnlite::python {

void bind_core(py::module_& module) {
  module.def("cpu_isas", [] {
    py::list names;
    for (Isa isa : available_isas()) names.append(name_of(isa));
    return names;
  });
  module.def("active_isa", [] {
    Isa isa = Isa::baseline;
    check(choose_isa(isa));
    return name_of(isa);
  });
  module.def(
      "force_isa", [](const std::optional<std::string>& name) { check(force_isa(name ? name->c_str() : nullptr)); },
      py::arg("name").none(true));
  module.def("share_heap", [] { check(share_heap()); });
  module.def("trim_heap", &trim_heap, py::call_guard<GilRelease>());
  module.def("keep_heap", &keep_heap);
}

}  // namespace mnnlite::python
