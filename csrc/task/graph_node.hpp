// A task as one of many: what it takes from other tasks, and results that travel to whoever asked for the frame.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/memory.hpp"
#include "task/crops.hpp"
#include "task/task.hpp"

namespace mnnlite {

// An output as it was after a run.
struct RawOutput {
  TensorView view;
  Block memory;
};

// What one task found on one frame, out of reach of its next run.
struct Results {
  std::vector<std::shared_ptr<SinkBuffer>> sinks;  // one a decoder
  std::vector<RawOutput> raw;                      // one an output of Task::raw()
  std::vector<mnnlite_item> items;                 // where the slots of these outputs lie
};

class GraphNode {
 public:
  explicit GraphNode(std::shared_ptr<Task> task) : task_(std::move(task)) {}

  // Run on crops of the parent's boxes instead of on the frame.
  Status follow(std::shared_ptr<GraphNode> parent, CropRule rule);
  // Crops that `other`, which runs on the same ones before, finds to be of certain classes are turned upside down.
  Status turn_by(std::shared_ptr<GraphNode> other, TurnRule rule);
  // An input is an output of `from`, which runs before this one on the same frame.
  Status feed_from(std::shared_ptr<GraphNode> from, int output, int input);

  Task& task() const noexcept { return *task_; }
  const GraphNode* parent() const noexcept { return parent_.get(); }

  // What follows is the lane's alone.

  // Everything this task takes from others is there: they have run on this frame.
  bool is_ready() const noexcept;
  // Run on the frame, or on the parent's boxes. `crops` becomes how many there were, of `eligible`; -1 without a parent.
  Status run(const TaskItem& frame, int32_t& crops, int32_t& eligible) noexcept;
  void set_ran(bool ran) noexcept { ran_ = ran; }
  // Move the results of the last run out.
  Status take_results(Results& results) noexcept;

  // Any thread: results that nobody needs any more.
  void recycle(Results& results) noexcept;

 private:
  std::shared_ptr<Task> task_;
  std::shared_ptr<GraphNode> parent_;
  std::shared_ptr<GraphNode> turner_;
  std::vector<std::shared_ptr<GraphNode>> needed_;  // parent, turner and feeds
  const GraphNode* placed_by_ = nullptr;            // whose picture a task without one of its own is about
  CropRule rule_;
  TurnRule turning_;
  std::vector<int32_t> order_;
  std::vector<TaskItem> items_;
  bool ran_ = false;  // on the frame at work

  std::mutex mutex_;
  std::vector<std::vector<std::shared_ptr<SinkBuffer>>> spare_;
};

}  // namespace mnnlite
