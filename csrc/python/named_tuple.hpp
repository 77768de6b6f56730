// Named tuples (PyStructSequence), as os.stat's result is one: what Python reads field by field of each frame. A field of a
// bound class costs a look-up of its type each time; this costs what a tuple does.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace mnnlite::python {

namespace py = pybind11;

// The type, as a name of the module; `name` with the module's before it. `fields` ends with an entry without a name. Both
// are literals: Python 3.10 keeps the pointers. Never destroyed.
inline PyTypeObject* make_named_tuple_type(py::module_& module, const char* name, PyStructSequence_Field* fields) {
  int count = 0;
  while (fields[count].name) ++count;
  PyStructSequence_Desc description{name, nullptr, fields, count};
  PyTypeObject* const type = PyStructSequence_NewType(&description);
  if (!type) throw py::error_already_set();
  module.attr(std::strrchr(name, '.') + 1) = py::handle(reinterpret_cast<PyObject*>(type));
  return type;
}

inline py::object to_field(py::object made) { return made; }
inline py::object to_field(bool flag) { return py::bool_(flag); }
inline py::object to_field(int32_t number) { return py::int_(number); }
inline py::object to_field(int64_t number) { return py::int_(number); }

// The values are those of all of the type's fields, in order.
template <typename... Values>
py::tuple make_named_tuple(PyTypeObject* type, Values&&... values) {
  auto made = py::reinterpret_steal<py::tuple>(PyStructSequence_New(type));
  if (!made) throw py::error_already_set();
  Py_ssize_t field = 0;
  (PyStructSequence_SetItem(made.ptr(), field++, to_field(std::forward<Values>(values)).release().ptr()), ...);
  return made;
}

}  // namespace mnnlite::python
