// mnnlite._core: lanes. A frame goes in and is waited for in one release of the GIL; lanes never touch Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "constructor.hpp"
#include "decoders.hpp"
#include "engine/fork.hpp"
#include "errors.hpp"
#include "frame.hpp"
#include "gil.hpp"
#include "results.hpp"
#include "task.hpp"
#include "task/lanes.hpp"

namespace mnnlite::python {
namespace {

std::shared_ptr<GraphNode> make_node(const NativeTask& task) { return std::make_shared<GraphNode>(task.task()); }

void follow(GraphNode& node, std::shared_ptr<GraphNode> parent, int32_t decoder,
            const std::optional<std::vector<int32_t>>& classes, int32_t max_crops, double padding) {
  CropRule rule;
  rule.decoder = decoder;
  rule.every_class = !classes;
  if (classes) rule.classes = *classes;
  rule.max_crops = max_crops;
  rule.padding = padding;
  check(node.follow(std::move(parent), std::move(rule)), "create_task");
}

void turn_by(GraphNode& node, std::shared_ptr<GraphNode> other, int32_t decoder, const std::vector<int32_t>& classes) {
  check(node.turn_by(std::move(other), {decoder, classes}), "create_task");
}

// `output` of the task behind `from`, `input` of the one behind `node`, by name.
void feed(GraphNode& node, const NativeTask& task, std::shared_ptr<GraphNode> from, const NativeTask& source,
          const py::object& output, const py::object& input) {
  check(node.feed_from(std::move(from), source.model().output_index(output), task.model().input_index(input)),
        "create_task");
}

// What became of one due task, as Python reads it. Times of the steady clock, nanoseconds.
struct PyTaskOutcome {
  bool ran = false, failed = false, left_out = false;  // none of them: what it takes something from gave nothing
  int64_t begin = 0, end = 0;
  TaskTimes times;
  int32_t crops = -1, eligible = -1;  // -1: the task is not one on crops
  py::object error = py::none();      // of a failed one
  py::list results, items;            // of a task that ran: one for each decoder; the slots of the batch
  py::dict raw;                       // outputs without a decoder, by name
};

// What became of a lane's part of a frame.
struct PyLaneOutcome {
  int64_t begin = 0, end = 0;
  py::list tasks;  // a PyTaskOutcome for each due task
};

// A frame under way. Keeps the frame's pixels and the lanes until it is done.
class PendingFrame {
 public:
  PendingFrame(std::shared_ptr<Lanes> lanes, std::shared_ptr<FrameJob> job, py::object frame)
      : lanes_(std::move(lanes)), job_(std::move(job)), frame_(std::move(frame)) {}
  PendingFrame(PendingFrame&&) = default;
  PendingFrame(const PendingFrame&) = delete;
  PendingFrame& operator=(const PendingFrame&) = delete;

  ~PendingFrame() {
    if (!job_) return;
    if (::getpid() != process_) {  // the lanes stayed in the parent: nobody ends the frame here, and a lock may be held
      new std::shared_ptr<FrameJob>(std::move(job_));
      new std::shared_ptr<Lanes>(std::move(lanes_));
      return;
    }
    if (!lanes_->is_done(*job_)) {
      const GilReleaseToWait release;
      while (!lanes_->wait(*job_, 1'000'000'000)) {}
    }
    lanes_->release(std::move(job_));
  }

  bool done() const { return !job_ || lanes_->is_done(*job_); }

  bool wait(int64_t timeout_ns) const {
    if (!job_) return true;
    const GilReleaseToWait release;
    return lanes_->wait(*job_, timeout_ns);
  }

  // A PyLaneOutcome for each lane. Only once.
  py::list take() {
    if (!done()) raise(Status::error(Code::state, "the frame is not done"));
    py::list result;
    if (!job_) return result;
    for (FrameJob::LaneJob& lane_job : job_->lanes) {
      PyLaneOutcome lane;
      lane.begin = lane_job.begin;
      lane.end = lane_job.end;
      for (size_t i = 0; i < lane_job.due.size(); ++i) lane.tasks.append(translate(lane_job.outcomes[i]));
      result.append(std::move(lane));
    }
    lanes_->release(std::move(job_));
    job_.reset();
    frame_ = py::none();
    return result;
  }

 private:
  static PyTaskOutcome translate(TaskOutcome& outcome) {
    PyTaskOutcome made;
    made.ran = outcome.state == TaskOutcome::ran;
    made.failed = outcome.state == TaskOutcome::failed;
    made.left_out = outcome.state == TaskOutcome::left_out;
    made.begin = outcome.begin;
    made.end = outcome.end;
    made.times = outcome.times;
    made.crops = outcome.crops;
    made.eligible = outcome.eligible;
    if (made.failed) made.error = error_of(outcome.status, "task");
    if (made.ran) {
      for (const std::shared_ptr<SinkBuffer>& sink : outcome.results.sinks)
        made.results.append(results_to_python(sink, false));
      for (RawOutput& each : outcome.results.raw) {
        const TensorView view = each.view;  // over memory that the array takes along
        const py::capsule owner(new Block(std::move(each.memory)),
                                [](void* block) { delete static_cast<Block*>(block); });
        made.raw[name_to_python(view.name)] = view_of(view, owner, true);
      }
      for (const mnnlite_item& item : outcome.results.items) made.items.append(item_to_python(item));
    }
    return made;
  }

  std::shared_ptr<Lanes> lanes_;
  std::shared_ptr<FrameJob> job_;
  py::object frame_;
  pid_t process_ = ::getpid();
};

// due: for each lane (node, not_after_ns or None).
PendingFrame submit(const std::shared_ptr<Lanes>& lanes, const py::object& frame, const py::list& due) {
  const auto& handle = py::cast<const FrameHandle&>(frame);
  std::shared_ptr<FrameJob> job = lanes->new_job();
  job->frame = TaskItem{};
  job->frame.view = handle.view();
  job->frame.region = handle.region();
  for (size_t lane = 0; lane < job->lanes.size(); ++lane)
    for (py::handle each : py::cast<py::list>(due[lane])) {
      const py::tuple pair = py::reinterpret_borrow<py::tuple>(each);
      job->lanes[lane].due.push_back(
          {py::cast<std::shared_ptr<GraphNode>>(pair[0]), pair[1].is_none() ? kNoLimit : py::cast<int64_t>(pair[1])});
    }
  lanes->submit(job);
  return {lanes, std::move(job), frame};
}

}  // namespace

void bind_lanes(py::module_& module) {
  py::class_<InputPool, std::shared_ptr<InputPool>>(module, "InputPool")
      .def("__init__", constructor(&make_shared_from<InputPool>), IsConstructor())
      .def("fit", &InputPool::fit)
      .def_property_readonly("bytes", &InputPool::bytes);

  py::class_<SharedRun, std::shared_ptr<SharedRun>>(module, "SharedRun")
      .def("__init__", constructor(&make_shared_from<SharedRun>), IsConstructor());

  py::class_<GraphNode, std::shared_ptr<GraphNode>>(module, "GraphNode")
      .def("__init__", constructor(&make_node), IsConstructor(), py::arg("task"))  // the caller keeps the task as long
      .def("follow", &follow, py::arg("parent"), py::arg("decoder"), py::arg("classes"), py::arg("max_crops"),
           py::arg("padding"))
      .def("turn_by", &turn_by, py::arg("other"), py::arg("decoder"), py::arg("classes"))
      .def(
          "share_input",
          [](GraphNode& node, std::shared_ptr<InputPool> pool) {
            check(node.task().share_input(std::move(pool)), "create_task");
          },
          py::arg("pool"))
      .def(
          "share_run",
          [](GraphNode& node, std::shared_ptr<SharedRun> run) {
            check(node.task().share_run(std::move(run)), "create_task");
          },
          py::arg("run"))
      .def("feed", &feed, py::arg("task"), py::arg("source"), py::arg("source_task"), py::arg("output"),
           py::arg("input"));

  py::class_<PyTaskOutcome>(module, "TaskOutcome", py::is_final())
      .def_readonly("ran", &PyTaskOutcome::ran)
      .def_readonly("failed", &PyTaskOutcome::failed)
      .def_readonly("left_out", &PyTaskOutcome::left_out)
      .def_readonly("begin_ns", &PyTaskOutcome::begin)
      .def_readonly("end_ns", &PyTaskOutcome::end)
      .def_property_readonly("preprocess_ns", [](const PyTaskOutcome& outcome) { return outcome.times.preprocess; })
      .def_property_readonly("infer_ns", [](const PyTaskOutcome& outcome) { return outcome.times.infer; })
      .def_property_readonly("decode_ns", [](const PyTaskOutcome& outcome) { return outcome.times.decode; })
      .def_readonly("crops", &PyTaskOutcome::crops)
      .def_readonly("eligible", &PyTaskOutcome::eligible)
      .def_readonly("error", &PyTaskOutcome::error)
      .def_readonly("results", &PyTaskOutcome::results)
      .def_readonly("raw", &PyTaskOutcome::raw)
      .def_readonly("items", &PyTaskOutcome::items);

  py::class_<PyLaneOutcome>(module, "LaneOutcome", py::is_final())
      .def_readonly("begin_ns", &PyLaneOutcome::begin)
      .def_readonly("end_ns", &PyLaneOutcome::end)
      .def_readonly("tasks", &PyLaneOutcome::tasks);

  py::class_<PendingFrame>(module, "PendingFrame")
      .def(py::init([](const py::args&, const py::kwargs&) -> PendingFrame* {
        raise(Status::error(Code::argument, "a PendingFrame comes from Lanes.submit"));
      }))
      .def_property_readonly("done", &PendingFrame::done)
      .def("wait", &PendingFrame::wait, py::arg("timeout_ns"))
      .def("take", &PendingFrame::take);

  py::class_<Lanes, std::shared_ptr<Lanes>>(module, "Lanes")
      .def("__init__", constructor(&make_shared_from<Lanes, size_t>), IsConstructor(), py::arg("count"))
      .def(
          "serve", [](Lanes& lanes, size_t lane) { return lanes.serve(lane) == Lanes::Turn::call; }, py::arg("lane"),
          py::call_guard<GilReleaseToWait>())
      .def("submit", &submit, py::arg("frame"), py::arg("due"))
      .def("call", &Lanes::call, py::arg("lane"))
      .def("stop", &Lanes::stop, py::arg("lane"))
      .def("kick", &Lanes::kick)
      .def("is_idle", &Lanes::is_idle, py::arg("lane"))
      .def_property_readonly("in_flight", &Lanes::in_flight)
      .def(
          "wait",
          [](Lanes& lanes, uint64_t seen, int64_t timeout_ns) {
            const GilReleaseToWait release;
            return lanes.wait(seen, timeout_ns);
          },
          py::arg("seen"), py::arg("timeout_ns"))
      .def(
          "running",
          [](const Lanes& lanes, size_t lane) -> py::object {
            std::shared_ptr<GraphNode> node;
            const int64_t begin = lanes.running(lane, node);
            return begin == 0 ? py::object(py::none()) : py::object(py::make_tuple(begin, node));
          },
          py::arg("lane"));
}

}  // namespace mnnlite::python
