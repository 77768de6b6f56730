#include "errors.hpp"

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

}  // namespace

py::object error_of(const Status& status, const char* op) {
  const py::object type = py::module_::import("mnnlite.errors").attr(class_of(status.code));
  py::dict details;
  if (status.engine_code != 0) details["engine_code"] = status.engine_code;
  return type(py::str(status.text), py::arg("op") = op ? py::object(py::str(op)) : py::none(), py::arg("details") = details);
}

void raise(const Status& status, const char* op) {
  const py::object error = error_of(status, op);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  throw py::error_already_set();
}

}  // namespace mnnlite::python
