// Files of a model as Python holds them between their checks and the load.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "engine/model_file.hpp"

namespace mnnlite::python {

namespace py = pybind11;

struct __attribute__((visibility("hidden"))) PyModelFile {
  explicit PyModelFile(const py::object& where);
  ModelFile file;
  int64_t read_ns = 0;
};

struct __attribute__((visibility("hidden"))) PyWeightsFile {
  explicit PyWeightsFile(const py::object& where);
  WeightsFile file;
};

}  // namespace mnnlite::python
