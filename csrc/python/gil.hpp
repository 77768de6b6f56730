// The GIL, given back while native code works, and never taken again by a thread that the interpreter's end has overtaken.
#pragma once

#include <pybind11/pybind11.h>

namespace mnnlite::python {

// A call that the end of the process waits for: it works without the GIL, or calls Python code from native code. Python before
// 3.14 ends a thread that asks for the GIL too late by unwinding its stack, which may not pass through native code of ours. Made
// with the GIL held; a thread that makes one when the end has begun stays here, for ever, and holds nothing.
class Working {
 public:
  Working() noexcept;
  ~Working();
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;
};

// Gives the GIL back for a scope that only waits.
class GilReleaseToWait {
 public:
  GilReleaseToWait() noexcept : state_(PyEval_SaveThread()) {}
  ~GilReleaseToWait();
  GilReleaseToWait(const GilReleaseToWait&) = delete;
  GilReleaseToWait& operator=(const GilReleaseToWait&) = delete;

 private:
  PyThreadState* state_;
};

// The same for a scope that works.
class GilRelease {
 private:
  const Working working_;  // until the GIL is held again
  const GilReleaseToWait release_;
};

void bind_gil(pybind11::module_& module);

}  // namespace mnnlite::python
