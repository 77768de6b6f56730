// mnnlite._core: the preemption points of networks, and how long a network takes from one point to the next.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "engine/preemption.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "model.hpp"

namespace mnnlite::python {
namespace {

int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Stops at every preemption point of one run, and at one of them runs another network. Without `stops` nothing is urgent.
class Watch final : public PreemptionPoint {
 public:
  Watch(int64_t at, MnnSession* inner, bool stops) : at_(at), inner_(inner) {
    reached_ns_.reserve(4096);
    set_wanted(stops);
  }

  const Status& status() const noexcept { return status_; }

  // Nanoseconds from each point to the next, the last one to `end`.
  std::vector<int64_t> gaps(int64_t end) {
    std::vector<int64_t> found;
    reached_ns_.push_back(end);
    for (size_t i = 0; i + 1 < reached_ns_.size(); ++i) found.push_back(reached_ns_[i + 1] - reached_ns_[i]);
    return found;
  }

 private:
  void run_urgent() noexcept override {
    const auto point = static_cast<int64_t>(reached_ns_.size());
    if (inner_ && point == at_) {
      const ExclusiveGuard guard(inner_->lock());
      status_ = guard.status().ok() ? inner_->run(kAllOutputs) : guard.status();
    }
    if (reached_ns_.size() < reached_ns_.capacity() - 1) reached_ns_.push_back(now_ns());
  }

  int64_t at_;
  MnnSession* inner_;
  Status status_;
  std::vector<int64_t> reached_ns_;
};

py::dict all_outputs(const NativeModel& model) {
  std::vector<int> all(static_cast<size_t>(model.readable()->output_count()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  return model.outputs_of(all, false);
}

// One run: nanoseconds from each point to the next, and the outputs of both.
py::tuple run_interrupted(const NativeModel& model, int64_t at, const NativeModel* inner, bool stops) {
  const NativeModel::Entered held(model, "infer");
  const std::shared_ptr<MnnSession> other = inner ? inner->readable() : nullptr;
  Watch watch(at, other.get(), stops);
  Status status;
  int64_t end = 0;
  {
    const GilRelease release;
    const PreemptionScope scope(&watch);
    status = held->run(kAllOutputs);
    end = now_ns();
  }
  check(status, "infer");
  check(watch.status(), "infer");
  return py::make_tuple(watch.gaps(end), all_outputs(model), inner ? all_outputs(*inner) : py::dict());
}

}  // namespace

void bind_preemption(py::module_& module) {
  module.def("run_interrupted", &run_interrupted, py::arg("model"), py::arg("at") = -1,
             py::arg("inner") = static_cast<const NativeModel*>(nullptr), py::arg("stops") = true);
}

}  // namespace mnnlite::python
