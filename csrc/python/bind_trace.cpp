// mnnlite._core: one traced run of a model.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "arrays.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "model.hpp"

namespace mnnlite::python {
namespace {

py::tuple shape_of(const TensorView& view) {
  py::tuple shape(view.rank);
  for (int axis = 0; axis < view.rank; ++axis) shape[axis] = view.dims[axis];
  return shape;
}

// (id, shape or None, dtype, layout), and for outputs the values or None.
py::tuple described(const TracedTensor& tensor) {
  const bool known = tensor.view.rank >= 0;
  return py::make_tuple(tensor.id, known ? py::object(shape_of(tensor.view)) : py::none(),
                        known ? name_of(dtype_of(tensor.view)) : "", known ? name_of(layout_of(tensor.view)) : "");
}

// The array takes the block over: values are not copied again.
py::object values_of(TracedTensor& tensor) {
  if (!tensor.view.data) return py::none();
  auto* owner = new Block(std::move(tensor.values));
  const py::capsule base(owner, [](void* block) { delete static_cast<Block*>(block); });
  return view_of(tensor.view, base, true);
}

Trace wanted(const py::object& values, const py::dict& replace) {
  Trace trace;
  if (py::isinstance<py::bool_>(values)) {
    trace.values = py::cast<bool>(values);
  } else {
    trace.values = true;
    trace.only.assign(1, 0);
    for (py::handle each : values) {
      const auto op = py::cast<size_t>(each);
      if (op >= trace.only.size()) trace.only.resize(op + 1, 0);
      trace.only[op] = 1;
    }
  }
  for (const auto& [key, value] : replace) {
    const auto [op, output] = py::cast<std::pair<size_t, size_t>>(key);
    const auto array = py::array_t<float, py::array::c_style | py::array::forcecast>::ensure(value);
    if (!array) throw py::error_already_set();
    trace.replacements.push_back({op, output, {array.data(), array.data() + array.size()}});
  }
  std::sort(trace.replacements.begin(), trace.replacements.end(),
            [](const Replacement& a, const Replacement& b) { return a.op < b.op; });
  return trace;
}

py::list operators_of(Trace& trace) {
  py::list operators;
  for (TracedOperator& op : trace.operators) {
    py::list inputs, outputs;
    const char* backend = op.backend < 0 ? "" : trace.backends[static_cast<size_t>(op.backend)].c_str();
    for (const TracedTensor& tensor : op.inputs) inputs.append(described(tensor));
    for (TracedTensor& tensor : op.outputs) outputs.append(py::make_tuple(described(tensor), values_of(tensor)));
    operators.append(py::make_tuple(name_to_python(op.name), name_to_python(op.type), op.mflops, op.start_ns,
                                    op.stop_ns, backend, inputs, outputs));
  }
  return operators;
}

py::dict run_traced(const NativeModel& model, const py::object& values, const py::dict& replace) {
  Trace trace = wanted(values, replace);
  const NativeModel::Entered held(model, "infer");
  Status status;
  {
    const GilRelease release;
    status = held->run(kAllOutputs, &trace);
  }
  check(status, "infer");
  py::list operators = operators_of(trace);
  std::vector<int> all(static_cast<size_t>(held->output_count()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  py::dict result;
  result["operators"] = operators;
  result["backend"] = trace.main;
  result["timed"] = trace.is_timed;
  result["outputs"] = model.outputs_of(all, false);
  result["start_ns"] = trace.start_ns;
  result["stop_ns"] = trace.stop_ns;
  result["unfitting"] = trace.unfitting;
  return result;
}

// What the session became: operators, and by output the indices of those it needs.
py::tuple plan_of(const NativeModel& model) {
  const NativeModel::Entered held(model, "plan");
  Trace trace;
  std::vector<std::vector<uint8_t>> branches;
  Status status;
  {
    const GilRelease release;
    status = held->plan(trace, branches);
  }
  check(status, "plan");
  py::dict needed;
  for (size_t output = 0; output < branches.size(); ++output) {
    py::list indices;
    for (size_t op = 0; op < branches[output].size(); ++op)
      if (branches[output][op]) indices.append(op);
    needed[name_to_python(held->output(static_cast<int>(output)).name)] = indices;
  }
  py::list operators = operators_of(trace);
  return py::make_tuple(operators, needed, trace.main);
}

}  // namespace

void bind_trace(py::module_& module) {
  module.def("trace", &run_traced, py::arg("model"), py::arg("values"), py::arg("replace"));
  module.def("plan", &plan_of, py::arg("model"));
}

}  // namespace mnnlite::python
