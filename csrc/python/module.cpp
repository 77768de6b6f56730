// Table of contents of mnnlite._core. Nothing here but translation: the work is in the rooms.
#include <pybind11/pybind11.h>

#include "errors.hpp"

namespace mnnlite::python {
void bind_core(pybind11::module_& module);
void bind_gil(pybind11::module_& module);
void bind_engine(pybind11::module_& module);
void bind_files(pybind11::module_& module);
void bind_preemption(pybind11::module_& module);
void bind_trace(pybind11::module_& module);
void bind_image(pybind11::module_& module);
void bind_decode(pybind11::module_& module);
void bind_results(pybind11::module_& module);
void bind_task(pybind11::module_& module);
void bind_lanes(pybind11::module_& module);
}  // namespace mnnlite::python

PYBIND11_MODULE(_core, module) {
  module.doc() = "Native part of mnnlite. Private: use the package's own names.";
  module.attr("__version__") = MNNLITE_VERSION;
  mnnlite::python::translate_exceptions();
  mnnlite::python::bind_core(module);
  mnnlite::python::bind_files(module);
  mnnlite::python::bind_gil(module);
  mnnlite::python::bind_engine(module);
  mnnlite::python::bind_preemption(module);
  mnnlite::python::bind_trace(module);
  mnnlite::python::bind_image(module);
  mnnlite::python::bind_results(module);
  mnnlite::python::bind_decode(module);
  mnnlite::python::bind_task(module);
  mnnlite::python::bind_lanes(module);
}
