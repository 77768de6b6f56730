#include "gil.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace mnnlite::python {
namespace {

std::atomic<int> working{0};  // calls
std::atomic<bool> ending{false};
std::atomic<std::thread::id> ender{};  // the thread that ends the process, which may still close things

// Once, when the extension is loaded: the threads of the parent do not work in a child.
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, [] { working.store(0); });

bool is_finalizing() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

[[noreturn]] void stay() noexcept {
  for (;;) ::pause();
}

void take(PyThreadState* state) noexcept {
  if (is_finalizing() && ender.load() != std::this_thread::get_id()) stay();
  try {
    PyEval_RestoreThread(state);
  } catch (...) {  // pthread_exit, which Python before 3.14 calls here, is an exception; leaving this block would abort
    stay();
  }
}

// Called once, before the interpreter goes: daemon threads that are in the engine come out of it first, and none enters any
// more, so that the engine's own end finds nobody inside.
void end_process() {
  constexpr int kMost = 1000;  // times 10 ms: longer than a run takes
  ender = std::this_thread::get_id();
  ending = true;
  PyThreadState* const state = PyEval_SaveThread();
  for (int i = 0; i < kMost && working.load() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  PyEval_RestoreThread(state);
}

}  // namespace

Working::Working() noexcept {
  if (ending && ender.load() != std::this_thread::get_id()) {
    PyEval_SaveThread();
    stay();
  }
  ++working;  // with the GIL held, so that end_process sees it
}

Working::~Working() { --working; }

GilReleaseToWait::~GilReleaseToWait() { take(state_); }

void bind_gil(pybind11::module_& module) { module.def("end_process", &end_process); }

}  // namespace mnnlite::python
