// The one place where a Status becomes a Python exception.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "core/status.hpp"

namespace mnnlite::python {

namespace py = pybind11;

// Raise the class of mnnlite.errors that belongs to `status`. `op` is the stage that failed and ends up in the
// exception's `.op`. Needs the GIL.
[[noreturn]] void raise(const Status& status, const char* op = nullptr);

// The same as an object, for an error that is reported and not raised. Needs the GIL.
py::object error_of(const Status& status, const char* op = nullptr);

// The text of a status as Python has it: no half characters, no controls. Needs the GIL, as all below.
py::str text_of(const char* text);

// A name as tensors have it. Never fails for a str: what UTF-8 has no form for can be no tensor's name.
std::string name_from(py::handle name);

// A name of the network's as Python has it, of whatever bytes a file holds.
py::str name_to_python(const char* name);
inline py::str name_to_python(const std::string& name) { return name_to_python(name.c_str()); }

// A path as the system has it, of a str, bytes or os.PathLike; ArgumentError for anything else and for a NUL within.
std::string path_from(py::handle path);

// Exceptions of C++ that pass a border of the module become errors of mnnlite. Once, when the module is made.
void translate_exceptions();

inline void check(const Status& status, const char* op = nullptr) {
  if (!status.ok()) raise(status, op);
}

}  // namespace mnnlite::python
