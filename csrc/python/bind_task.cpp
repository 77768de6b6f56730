// mnnlite._core: the task room.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "constructor.hpp"
#include "decoders.hpp"
#include "engine/exclusive_lock.hpp"
#include "errors.hpp"
#include "frame.hpp"
#include "gil.hpp"
#include "image_spec.hpp"
#include "model.hpp"
#include "results.hpp"
#include "task.hpp"

namespace mnnlite::python {

NativeTask::NativeTask(const py::object& model, const py::list& images, const py::list& decoders, const py::list& raw,
                       const py::list& state, int32_t batch)
    : model_(model), native_(py::cast<NativeModel&>(model)) {
  std::vector<TaskImage> task_images;
  for (py::handle each : images) {
    const py::tuple pair = py::cast<py::tuple>(each);
    task_images.push_back({native_.input_index(pair[0]), image_spec_from(pair[1])});
  }
  std::vector<TaskDecoder> task_decoders;
  for (py::handle each : decoders) {
    const py::tuple entry = py::cast<py::tuple>(each);
    OwnedDecoder owned = make_decoder_from_python(entry[0], py::cast<py::dict>(entry[1]));
    owners_.append(owned.owner ? owned.owner : py::none());
    task_decoders.push_back({indices(entry[2]), std::move(owned.decoder)});
  }
  std::vector<TaskState> task_state;
  for (py::handle each : state) {
    const py::tuple pair = py::cast<py::tuple>(each);
    task_state.push_back({native_.input_index(pair[0]), native_.output_index(pair[1])});
  }
  raw_ = indices(raw);
  std::unique_ptr<Task> made;
  check(Task::make(native_.readable(), task_images, std::move(task_decoders), raw_, task_state, batch, made),
        "create_task");
  task_ = std::move(made);
  kinds_ = py::tuple(task_->decoder_count());
  for (size_t decoder = 0; decoder < task_->decoder_count(); ++decoder)
    kinds_[decoder] = task_->results(decoder)->kind();
}

py::tuple NativeTask::run(const py::sequence& frames, bool borrow, const py::object& out, const py::object& raw_out) {
  // Until the results are read: another thread's call is refused, and does not change them meanwhile.
  const NativeModel::Entered entered(native_, "task");
  const auto count = static_cast<size_t>(py::len(frames));
  if (count > static_cast<size_t>(task_->batch()))
    raise(
        Status::error(Code::argument, "%zu frames at once, but the task was made with batch=%d", count, task_->batch()),
        "preprocess");
  constexpr size_t kInPlace = 8;
  TaskItem in_place[kInPlace];
  std::vector<TaskItem> many;
  if (count > kInPlace) many.resize(count);
  TaskItem* items = count > kInPlace ? many.data() : in_place;
  for (size_t i = 0; i < count; ++i) {
    const auto& frame = py::cast<const FrameHandle&>(frames[i]);
    items[i] = {frame.view(), frame.region()};
  }
  if (!raw_out.is_none()) native_.check_out(raw_out);
  const size_t decoders = task_->decoder_count();
  for (size_t decoder = 0; decoder < decoders; ++decoder)
    if (task_->results(decoder).use_count() > 1 && !borrow) check(task_->renew_results(decoder), "decode");
  const auto kept = [&](size_t decoder) -> ResultBuffer* {  // the caller's pools for a decoder, if there are any
    if (out.is_none()) return nullptr;
    const py::object each = out[py::int_(decoder)];
    return each.is_none() ? nullptr : &py::cast<ResultBuffer&>(each);
  };
  into_.resize(decoders);
  for (size_t decoder = 0; decoder < decoders; ++decoder) {
    ResultBuffer* buffer = kept(decoder);
    into_[decoder] = buffer ? buffer->pools() : nullptr;
  }
  Status status;
  {
    // Views and regions are plain data; the caller's frames keep the pixels alive. No Python object is touched below.
    const GilRelease release;
    status = task_->run_locked(items, static_cast<int32_t>(count), into_.data());
  }
  times_ = task_->times();
  if (!status.ok()) {
    for (std::shared_ptr<SinkBuffer>& each : into_) each.reset();
    raise(status, "task");
  }
  py::list results;
  for (size_t decoder = 0; decoder < decoders; ++decoder) {
    if (ResultBuffer* buffer = kept(decoder)) {
      buffer->pools() = std::move(into_[decoder]);
      results.append(buffer->results());
    } else {
      results.append(results_to_python(task_->results(decoder), borrow));
    }
  }
  py::list placed;
  for (int32_t i = 0; !raw_.empty() && i < task_->item_count(); ++i) placed.append(item_to_python(task_->items()[i]));
  return py::make_tuple(std::move(results), native_.outputs_of(raw_, borrow, raw_out), std::move(placed));
}

void NativeTask::reset_state() {
  native_.session();
  Status status;
  {
    const GilRelease release;
    status = task_->reset_state();
  }
  check(status, "reset_state");
}

std::vector<int> NativeTask::indices(const py::object& names) const {
  std::vector<int> result;
  for (py::handle name : names) result.push_back(native_.output_index(name));
  return result;
}

void bind_task(py::module_& module) {
  py::class_<NativeTask>(module, "Task")
      .def("__init__",
           constructor(&make_unique_from<NativeTask, const py::object&, const py::list&, const py::list&,
                                         const py::list&, const py::list&, int32_t>),
           IsConstructor(), py::arg("model"), py::arg("images"), py::arg("decoders"), py::arg("raw"), py::arg("state"),
           py::arg("batch"))
      .def("run", &NativeTask::run, py::arg("frames"), py::arg("borrow"), py::arg("out"), py::arg("raw_out"))
      .def_property_readonly("kinds", &NativeTask::kinds)
      .def("reset_state", &NativeTask::reset_state)
      .def_property_readonly("scratch_bytes", [](const NativeTask& task) { return task.task()->scratch_bytes(); })
      .def_property_readonly("times", &NativeTask::times);
}

}  // namespace mnnlite::python
