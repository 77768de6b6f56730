// One model as Python holds it. The task room's binding takes its session from here.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/mnn_session.hpp"
#include "gil.hpp"

namespace mnnlite::python {

namespace py = pybind11;

class __attribute__((visibility("hidden"))) NativeModel {
 public:
  // `source` is a ModelFile, whose memory is let go, or holds bytes; `weights` is a WeightsFile, which is taken, or None.
  NativeModel(const py::object& source, const py::object& weights, std::shared_ptr<Arena> arena,
              const std::vector<std::string>& outputs, const py::dict& shapes, const std::vector<ImageHint>& images,
              bool resizable, const py::object& on_stage, const ArenaOptions* engine, const std::string& cache_file);

  // Raise ClosedError; `readable` also BusyError while another thread resizes it: then the tensors cannot be looked at. What
  // reads them holds the GIL all the time between asking and reading.
  std::shared_ptr<MnnSession> session() const;
  std::shared_ptr<MnnSession> readable() const;
  bool closed() const { return !session_; }

  // The session for this thread alone, for as long as one of these lives: until its results are copied. Raises ClosedError,
  // BusyError, and StateError in a forked child. Python code may run in the scope, and finds the model busy.
  class Entered {
   public:
    Entered(const NativeModel& model, const char* op);
    MnnSession& operator*() const { return *session_; }
    MnnSession* operator->() const { return session_.get(); }

   private:
    const Working working_;
    const std::shared_ptr<MnnSession> session_;  // also keeps the lock
    const ExclusiveGuard guard_;
  };

  int input_index(py::handle name) const { return find(input_names_, name, "input"); }
  int output_index(py::handle name) const { return find(output_names_, name, "output"); }
  // Outputs of the last run as {name: array}; those in `out`, a dict or None, in its arrays. The caller has entered.
  py::dict outputs_of(const std::vector<int>& indices, bool borrow, const py::object& out = py::none()) const;

  py::object input_view(py::handle name);
  bool input_is_direct(py::handle name) const;
  py::dict run(const py::object& inputs, const py::object& outputs, bool borrow, const py::object& out);
  void check_out(py::handle out) const;
  void resize(const py::dict& shapes);
  void close();
  py::dict timing() const;
  py::dict memory() const;
  py::list describe(bool inputs) const;
  py::dict facts() const;
  py::list operators() const;

 private:
  void refresh();
  static void free(std::shared_ptr<MnnSession> last);
  // One output of the last run, put into `result`. The caller has entered.
  void hand_out(int output, bool borrow, const py::object& out, py::dict& result) const;
  int find(const std::vector<py::str>& names, py::handle name, const char* kind) const;

  std::shared_ptr<MnnSession> session_;    // the deleter queues: see Arena::retire
  py::object input_guard_, output_guard_;  // what views keep alive; a reference count above 1 means views are alive
  std::vector<py::str> input_names_, output_names_;
  bool resizing_ = false;  // read and written with the GIL held
  StageTimes times_;
  int64_t infer_ns_ = -1, close_ns_ = -1;
};

}  // namespace mnnlite::python
