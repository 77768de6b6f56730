// The GIL, given back while native code works, and never taken again by a thread that the interpreter's end has overtaken.
#pragma once

#include <pybind11/pybind11.h>

namespace mnnlite::python {

// Gives the GIL back for a scope. A thread that would take it while the interpreter ends stays where it is, for ever: Python
// would unwind its stack through functions that must not throw, which aborts the process. `works` is false for a scope that
// only waits, which the end of the process need not wait for.
class GilRelease {
 public:
  explicit GilRelease(bool works = true) noexcept;
  ~GilRelease();
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

 private:
  const bool works_;
  PyThreadState* state_;
};

// For functions that only wait.
class GilReleaseToWait : public GilRelease {
 public:
  GilReleaseToWait() noexcept : GilRelease(false) {}
};

void bind_gil(pybind11::module_& module);

}  // namespace mnnlite::python
