#include "errors.hpp"

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "gil.hpp"

namespace mnnlite::python {
namespace {

const char* class_of(Code code) {
  switch (code) {
    case Code::ok:
    case Code::engine: return "EngineError";
    case Code::engine_version: return "EngineVersionError";
    case Code::argument: return "ArgumentError";
    case Code::dtype: return "DTypeError";
    case Code::layout: return "LayoutError";
    case Code::model: return "ModelError";
    case Code::model_not_found: return "ModelNotFoundError";
    case Code::model_format: return "ModelFormatError";
    case Code::tensor_not_found: return "TensorNotFoundError";
    case Code::unsupported_model: return "UnsupportedModelError";
    case Code::backend_unavailable: return "BackendUnavailableError";
    case Code::out_of_memory: return "OutOfMemoryError";
    case Code::state: return "StateError";
    case Code::closed: return "ClosedError";
    case Code::busy: return "BusyError";
    case Code::decoder: return "DecoderError";
    case Code::decoder_abi: return "DecoderABIError";
  }
  return "MnnliteError";
}

// How many bytes a character of UTF-8 has, by its first one; 0 if none begins so.
size_t utf8_length(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

// Texts are cut to their places by bytes: what is left of a character that was cut in two is taken out, be it at the end or before
// the quotation mark that closes a name. Controls, which a file's names may hold, are written as escapes.
std::string clean(const char* text) {
  std::string result;
  const size_t size = std::strlen(text);
  for (size_t at = 0; at < size;) {
    const auto first = static_cast<unsigned char>(text[at]);
    const size_t length = utf8_length(first);
    size_t there = 1;
    while (there < length && at + there < size && (static_cast<unsigned char>(text[at + there]) & 0xc0) == 0x80)
      ++there;
    const bool is_cut = length > there && (at + there == size || text[at + there] == '"');
    const bool is_control = first < 0x20 || first == 0x7f ||
                            (first == 0xc2 && there == 2 && static_cast<unsigned char>(text[at + 1]) < 0xa0);
    if (is_control) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", first == 0xc2 ? static_cast<unsigned char>(text[at + 1]) : first);
      result += escape;
    } else if (!is_cut) {
      result.append(text + at, there);
    }
    at += there;
  }
  return result;
}

}  // namespace

py::str text_of(const char* text) {
  return name_to_python(clean(text));  // what is no UTF-8 is a path's
}

py::str name_to_python(const char* name) {
  PyObject* const decoded = PyUnicode_DecodeUTF8(name, static_cast<Py_ssize_t>(std::strlen(name)), "backslashreplace");
  if (!decoded) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

std::string name_from(py::handle name) {
  PyObject* const encoded = PyUnicode_AsEncodedString(py::str(name).ptr(), "utf-8", "backslashreplace");
  if (!encoded) throw py::error_already_set();
  return std::string(py::reinterpret_steal<py::bytes>(encoded));
}

std::string path_from(py::handle path) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), &encoded) == 0) {
    PyErr_Clear();
    raise(Status::error(Code::argument, "%.150s is no path of a file: a text without a NUL character is wanted",
                        name_from(py::repr(path)).c_str()));
  }
  return std::string(py::reinterpret_steal<py::bytes>(encoded));
}

void translate_exceptions() {
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    const auto set = [](Code code, const char* what) {
      PyErr_Clear();  // memory may have run out while another error was raised
      const py::object error = error_of(Status::error(code, "%s", what));
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
    };
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
      set(Code::out_of_memory, "no memory");
    } catch (const py::error_already_set&) {
      throw;
    } catch (const py::builtin_exception& error) {
      set(Code::argument, error.what());
    } catch (const std::logic_error& error) {  // sizes that no container takes
      set(Code::argument, error.what());
    }
  });
}

py::object error_of(const Status& status, const char* op) {
  const Working working;
  const py::object type = py::module_::import("mnnlite.errors").attr(class_of(status.code));
  py::dict details;
  if (status.engine_code != 0) details["engine_code"] = status.engine_code;
  return type(text_of(status.text), py::arg("op") = op ? py::object(py::str(op)) : py::none(),
              py::arg("details") = details);
}

void raise(const Status& status, const char* op) {
  const py::object error = error_of(status, op);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  throw py::error_already_set();
}

}  // namespace mnnlite::python
