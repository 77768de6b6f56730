// One task as Python holds it. The lanes' binding takes its native task from here.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <tuple>
#include <vector>

#include "model.hpp"
#include "task/task.hpp"

namespace mnnlite::python {

// The native task, its model, and what decoders of plug-ins need alive.
class __attribute__((visibility("hidden"))) NativeTask {
 public:
  // images: (input name, mnnlite.ImageSpec); decoders: (family or capsule, options, output names); raw: output names;
  // state: (input name, output name).
  NativeTask(const py::object& model, const py::list& images, const py::list& decoders, const py::list& raw,
             const py::list& state, int32_t batch);

  // One native call and one release of the GIL for the whole work. `out`: for each decoder a ResultBuffer or None, or None
  // for all; `raw_out`: a dict of arrays, or None. Returns what mnnlite.results makes its types from, one entry a decoder;
  // the outputs named `raw`; and where the slots of the batch lie, as ArrayDecoder.decode takes them, if any are `raw`.
  py::tuple run(const py::sequence& frames, bool borrow, const py::object& out, const py::object& raw_out);
  // By enum mnnlite_kind, one entry a decoder.
  const py::tuple& kinds() const { return kinds_; }
  void reset_state();
  std::tuple<int64_t, int64_t, int64_t> times() const { return {times_.preprocess, times_.infer, times_.decode}; }

  const std::shared_ptr<Task>& task() const { return task_; }
  const NativeModel& model() const { return native_; }

 private:
  std::vector<int> indices(const py::object& names) const;

  py::object model_;
  NativeModel& native_;
  py::list owners_;
  py::tuple kinds_;
  TaskTimes times_;                                // of the last call that ended
  std::vector<std::shared_ptr<SinkBuffer>> into_;  // of the call under way
  std::vector<int> raw_;
  std::shared_ptr<Task> task_;
};

}  // namespace mnnlite::python
