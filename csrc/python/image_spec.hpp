// mnnlite.ImageSpec -> ImageSpec. Needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include "image/spec.hpp"

namespace mnnlite::python {

ImageSpec image_spec_from(const pybind11::handle& spec);

}  // namespace mnnlite::python
