// What stands for py::init: an object for which memory runs out is refused. pybind11 registers what its own made outside of
// every try block, which ends the process, and what a function made without letting go of it, which frees it twice.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

namespace mnnlite::python {

namespace py = pybind11;

// `make` gives the class's holder: bind it with `.def("__init__", constructor(&make), IsConstructor(), ...)`.
template <typename Holder, typename... Args>
auto constructor(Holder (*make)(Args...)) {
  return [make](py::detail::value_and_holder& self, Args... args) {
    Holder made = make(std::forward<Args>(args)...);
    self.value_ptr() = made.get();
    try {
      self.type->init_instance(self.inst, &made);
    } catch (...) {
      self.value_ptr() = nullptr;  // it is still `made`'s
      throw;
    }
  };
}

// Of a class that the constructor with these parameters makes.
template <typename T, typename... Args>
std::unique_ptr<T> make_unique_from(Args... args) {
  return std::make_unique<T>(std::forward<Args>(args)...);
}
template <typename T, typename... Args>
std::shared_ptr<T> make_shared_from(Args... args) {
  return std::make_shared<T>(std::forward<Args>(args)...);
}

using IsConstructor = py::detail::is_new_style_constructor;

}  // namespace mnnlite::python
