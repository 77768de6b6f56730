// Files of a model, opened once: hashed in Python, verified and loaded by the engine room.
#include <chrono>

#include "constructor.hpp"
#include "engine/verify.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "model_files.hpp"

namespace mnnlite::python {

PyModelFile::PyModelFile(const py::object& where) {
  const std::string path = path_from(where);
  Status status;
  {
    const GilRelease release;
    const auto begin = std::chrono::steady_clock::now();
    status = ModelFile::read(path.c_str(), file);
    read_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin).count();
  }
  check(status, "load");
}

PyWeightsFile::PyWeightsFile(const py::object& where) {
  const std::string path = path_from(where);
  Status status;
  {
    const GilRelease release;
    status = WeightsFile::open(path.c_str(), file);
  }
  check(status, "load");
}

void bind_files(py::module_& module) {
  // The verifier alone, on bytes: how many operators a model has, or what is wrong with it.
  module.def(
      "verify_model",
      [](const py::buffer& bytes) {
        const py::buffer_info info = bytes.request();
        VerifiedModel result;
        check(verify_model(info.ptr, static_cast<size_t>(info.size * info.itemsize), {}, result), "load");
        return result.operators;
      },
      py::arg("bytes"));
  // Its memory is given to the engine's copy and let go at the load: no buffer of it may be alive then.
  py::class_<PyModelFile>(module, "ModelFile", py::buffer_protocol())
      .def("__init__", constructor(&make_unique_from<PyModelFile, const py::object&>), IsConstructor(), py::arg("path"))
      .def_buffer([](PyModelFile& model) {
        return py::buffer_info(const_cast<void*>(model.file.data()), 1, "B",
                               static_cast<py::ssize_t>(model.file.size()), true);
      });
  py::class_<PyWeightsFile>(module, "WeightsFile")
      .def("__init__", constructor(&make_unique_from<PyWeightsFile, const py::object&>), IsConstructor(),
           py::arg("path"))
      .def_property_readonly("descriptor", [](const PyWeightsFile& weights) { return weights.file.descriptor(); })
      .def_property_readonly("size", [](const PyWeightsFile& weights) { return weights.file.size(); });
}

}  // namespace mnnlite::python
