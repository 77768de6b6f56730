// mnnlite._core: lanes. A frame goes in and is waited for in one release of the GIL; lanes never touch Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "constructor.hpp"
#include "decoders.hpp"
#include "engine/fork.hpp"
#include "errors.hpp"
#include "frame.hpp"
#include "gil.hpp"
#include "named_tuple.hpp"
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

// Times of the steady clock.
PyStructSequence_Field kTaskFields[] = {
    {"ran", nullptr},
    {"left_out",
     "There was no time for it. Neither this, nor ran, nor an error: what it takes something from gave nothing."},
    {"begin_ns", nullptr},
    {"end_ns", nullptr},
    {"preprocess_ns", nullptr},
    {"infer_ns", nullptr},
    {"decode_ns", nullptr},
    {"crops", "-1: the task is not one on crops"},
    {"eligible", nullptr},
    {"error", "Of one that failed, or None."},
    {"results", "Of a task that ran, one for each decoder."},
    {"raw", "Outputs without a decoder, by name."},
    {"items", "The slots of the batch."},
    {"preemptions", "How often it gave way to urgent work."},
    {"given_ns", "For how long: between begin_ns and end_ns, and not in infer_ns."},
    {nullptr, nullptr}};
PyStructSequence_Field kLaneFields[] = {{"begin_ns", nullptr},
                                        {"end_ns", nullptr},
                                        {"tasks", "A TaskOutcome for each due task."},
                                        {"preemptions", "As TaskOutcome, of all of the lane's work on the frame."},
                                        {"given_ns", nullptr},
                                        {nullptr, nullptr}};

// Made with the module and never destroyed.
PyTypeObject* task_outcome = nullptr;
PyTypeObject* lane_outcome = nullptr;

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

  // A LaneOutcome for each lane. Only once.
  py::list take() {
    if (!done()) raise(Status::error(Code::state, "the frame is not done"));
    py::list result;
    if (!job_) return result;
    for (FrameJob::LaneJob& lane_job : job_->lanes) {
      py::list tasks;
      for (size_t i = 0; i < lane_job.due.size(); ++i) tasks.append(translate(lane_job.outcomes[i]));
      result.append(make_named_tuple(lane_outcome, lane_job.begin, lane_job.end, std::move(tasks),
                                     int64_t{lane_job.preemptions}, lane_job.given_ns));
    }
    lanes_->release(std::move(job_));
    job_.reset();
    frame_ = py::none();
    return result;
  }

 private:
  static py::object translate(TaskOutcome& outcome) {
    const bool ran = outcome.state == TaskOutcome::ran;
    py::object error = py::none();
    if (outcome.state == TaskOutcome::failed) error = error_of(outcome.status, "task");
    py::list results, items;
    py::dict raw;
    if (ran) {
      for (const std::shared_ptr<SinkBuffer>& sink : outcome.results.sinks)
        results.append(results_to_python(sink, false));
      for (RawOutput& each : outcome.results.raw) {
        const TensorView view = each.view;  // over memory that the array takes along
        const py::capsule owner(new Block(std::move(each.memory)),
                                [](void* block) { delete static_cast<Block*>(block); });
        raw[name_to_python(view.name)] = view_of(view, owner, true);
      }
      for (const mnnlite_item& item : outcome.results.items) items.append(item_to_python(item));
    }
    return make_named_tuple(task_outcome, ran, outcome.state == TaskOutcome::left_out, outcome.begin, outcome.end,
                            outcome.times.preprocess, outcome.times.infer, outcome.times.decode, int64_t{outcome.crops},
                            int64_t{outcome.eligible}, std::move(error), std::move(results), std::move(raw),
                            std::move(items), int64_t{outcome.preemptions}, outcome.given_ns);
  }

  std::shared_ptr<Lanes> lanes_;
  std::shared_ptr<FrameJob> job_;
  py::object frame_;
  pid_t process_ = ::getpid();
};

// due: for each lane (node, not_after_ns or None).
PendingFrame submit(const std::shared_ptr<Lanes>& lanes, const py::object& frame, const py::list& due, bool urgent) {
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
  job->urgent = urgent;
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

  task_outcome = make_named_tuple_type(module, "mnnlite._core.TaskOutcome", kTaskFields);
  lane_outcome = make_named_tuple_type(module, "mnnlite._core.LaneOutcome", kLaneFields);

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
          "serve", [](Lanes& lanes, size_t lane) { return lanes.serve(lane) == Lanes::Wake::call; }, py::arg("lane"),
          py::call_guard<GilReleaseToWait>())
      .def("submit", &submit, py::arg("frame"), py::arg("due"), py::arg("urgent") = false)
      .def("add", &Lanes::add)
      .def("allow_preemption", &Lanes::allow_preemption, py::arg("lane"), py::arg("allowed"))
      .def("call", &Lanes::call, py::arg("lane"))
      .def("stop", &Lanes::stop, py::arg("lane"))
      .def("kick", &Lanes::kick)
      .def("is_idle", &Lanes::is_idle, py::arg("lane"))
      .def_property_readonly("in_flight", [](const Lanes& lanes) { return lanes.in_flight(false); })
      .def_property_readonly("urgent_in_flight", [](const Lanes& lanes) { return lanes.in_flight(true); })
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
