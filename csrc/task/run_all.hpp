// The unit of execution: a lane's due tasks of one frame, cascades and chains included. Plain C++, no Python anywhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "task/graph_node.hpp"

namespace mnnlite {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// A task that is due; what it takes from others comes before it in the list.
struct ScheduledTask {
  std::shared_ptr<GraphNode> node;
  int64_t not_after = kNoLimit;  // steady clock, nanoseconds: left out if it cannot be started by then
};

struct TaskOutcome {
  enum State : int32_t { ran = 0, failed, left_out, not_ready };
  State state = not_ready;
  Status status;  // of a failed one
  TaskTimes times;
  int64_t begin = 0, end = 0;  // steady clock, nanoseconds
  int32_t preemptions = 0;     // how often it gave way to urgent work
  int64_t given_ns = 0;        // for how long: within begin and end, and in none of `times`
  int32_t crops = -1, eligible = -1;
  Results results;
};

// What a lane is at, for whoever watches it.
struct Running {
  std::atomic<int64_t> begin{0};  // 0: nothing
  std::atomic<int32_t> index{0};  // in the list of due tasks
};

int64_t steady_ns() noexcept;

// Run in order. A task that fails fails alone: only what takes something from it is left out. `outcomes` has one entry
// a due task.
void run_all(const std::vector<ScheduledTask>& due, const TaskItem& frame, std::vector<TaskOutcome>& outcomes,
             Running& running) noexcept;

}  // namespace mnnlite
