#include "task/run_all.hpp"

#include <algorithm>
#include <chrono>

#include "engine/preemption.hpp"

namespace mnnlite {

int64_t steady_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void run_all(const std::vector<ScheduledTask>& due, const TaskItem& frame, std::vector<TaskOutcome>& outcomes,
             Running& running) noexcept {
  for (const ScheduledTask& each : due) each.node->task().begin_frame();
  for (const ScheduledTask& each : due) each.node->task().announce();
  PreemptionPoint* const point = PreemptionPoint::current();
  for (size_t i = 0; i < due.size(); ++i) {
    if (point) point->pass();
    GraphNode& node = *due[i].node;
    TaskOutcome& outcome = outcomes[i];
    outcome.begin = outcome.end = steady_ns();
    outcome.status = Status{};
    outcome.times = TaskTimes{};
    outcome.crops = outcome.eligible = -1;
    outcome.preemptions = 0;
    outcome.given_ns = 0;
    if (!node.is_ready()) {
      outcome.state = TaskOutcome::not_ready;
      continue;
    }
    if (outcome.begin > due[i].not_after) {
      outcome.state = TaskOutcome::left_out;
      continue;
    }
    running.index.store(static_cast<int32_t>(i), std::memory_order_relaxed);
    running.begin.store(outcome.begin, std::memory_order_release);
    const int32_t times = point ? point->times() : 0;
    const int64_t given = point ? point->given_ns() : 0;
    outcome.status = node.run(frame, outcome.crops, outcome.eligible);
    outcome.times = node.task().times();
    if (point) {  // only networks are interrupted
      outcome.preemptions = point->times() - times;
      outcome.given_ns = point->given_ns() - given;
      outcome.times.infer = std::max(int64_t{0}, outcome.times.infer - outcome.given_ns);
    }
    outcome.state = outcome.status.ok() ? TaskOutcome::ran : TaskOutcome::failed;
    node.set_ran(outcome.status.ok());
    outcome.end = steady_ns();
  }
  running.begin.store(0, std::memory_order_release);
  // Only now: until then the results are what cascades crop from.
  for (size_t i = 0; i < due.size(); ++i) {
    TaskOutcome& outcome = outcomes[i];
    if (outcome.state != TaskOutcome::ran) continue;
    outcome.status = due[i].node->take_results(outcome.results);
    if (!outcome.status.ok()) outcome.state = TaskOutcome::failed;
  }
  for (const ScheduledTask& each : due) {
    each.node->set_ran(false);
    each.node->task().begin_frame();  // whoever runs a task between frames gets a run of its own
  }
}

}  // namespace mnnlite
