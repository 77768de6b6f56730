#include "task/run_all.hpp"

#include <chrono>

namespace mnnlite {

int64_t steady_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void run_all(const std::vector<Due>& due, const TaskItem& frame, std::vector<Outcome>& outcomes, Running& running) noexcept {
  for (const Due& each : due) each.member->task().begin_frame();
  for (const Due& each : due) each.member->task().announce();
  for (size_t i = 0; i < due.size(); ++i) {
    Member& member = *due[i].member;
    Outcome& outcome = outcomes[i];
    outcome.begin = outcome.end = steady_ns();
    outcome.status = Status{};
    outcome.times = TaskTimes{};
    outcome.crops = outcome.eligible = -1;
    if (!member.is_ready()) {
      outcome.state = Outcome::not_ready;
      continue;
    }
    if (outcome.begin > due[i].not_after) {
      outcome.state = Outcome::left_out;
      continue;
    }
    running.index.store(static_cast<int32_t>(i), std::memory_order_relaxed);
    running.begin.store(outcome.begin, std::memory_order_release);
    outcome.status = member.run(frame, outcome.crops, outcome.eligible);
    outcome.times = member.task().times();
    outcome.state = outcome.status.ok() ? Outcome::ran : Outcome::failed;
    member.set_ran(outcome.status.ok());
    outcome.end = steady_ns();
  }
  running.begin.store(0, std::memory_order_release);
  // Only now: until then the results are what cascades crop from.
  for (size_t i = 0; i < due.size(); ++i) {
    Outcome& outcome = outcomes[i];
    if (outcome.state != Outcome::ran) continue;
    outcome.status = due[i].member->hand_over(outcome.results);
    if (!outcome.status.ok()) outcome.state = Outcome::failed;
  }
  for (const Due& each : due) {
    each.member->set_ran(false);
    each.member->task().begin_frame();  // whoever runs a task between frames gets a run of its own
  }
}

}  // namespace mnnlite
