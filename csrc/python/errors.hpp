// The one place where a Status becomes a Python exception.
#pragma once

#include <pybind11/pybind11.h>

#include "core/status.hpp"

namespace mnnlite::python {

namespace py = pybind11;

// Raise the class of mnnlite.errors that belongs to `status`. `op` is the stage that failed and ends up in the
// exception's `.op`. Needs the GIL.
[[noreturn]] void raise(const Status& status, const char* op = nullptr);

// The same as an object, for an error that is reported and not raised. Needs the GIL.
py::object error_of(const Status& status, const char* op = nullptr);

inline void check(const Status& status, const char* op = nullptr) {
  if (!status.ok()) raise(status, op);
}

}  // namespace mnnlite::python
