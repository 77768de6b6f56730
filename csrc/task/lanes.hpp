// Lanes: threads that the caller brings, each working through the frames it is given, without Python.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/preemption.hpp"
#include "task/run_all.hpp"

namespace mnnlite {

// One frame on its way through the lanes.
class FrameJob {
 public:
  struct LaneJob {  // of one lane
    std::vector<ScheduledTask> due;
    std::vector<TaskOutcome> outcomes;
    int64_t begin = 0, end = 0;
    int32_t preemptions = 0;  // of this frame's work in the lane, by urgent frames
    int64_t given_ns = 0;
  };

  TaskItem frame;  // whoever submits it keeps the pixels alive until the job is done
  std::vector<LaneJob> lanes;
  bool urgent = false;  // does not wait for frames that are not

 private:
  friend class Lanes;
  size_t pending_ = 0;  // lanes that still work on it
};

class Lanes {
 public:
  explicit Lanes(size_t count);

  enum class Wake { call, stop };

  // The lane's own thread: works until a call that was asked for is to be made, or the lane is to stop. All frames that were
  // submitted before are done then, and none that was submitted after but urgent ones.
  Wake serve(size_t lane) noexcept;

  // Any thread.
  void add();                           // one lane more, the last; frames that were submitted before know nothing of it
  std::shared_ptr<FrameJob> new_job();  // an empty one, with a LaneJob for each lane
  void release(std::shared_ptr<FrameJob> job) noexcept;  // a done one: its results go back, it will be used again
  void submit(const std::shared_ptr<FrameJob>& job);     // lanes with nothing due are not troubled
  // Whether urgent frames begin in the middle of networks, from the lane's next frame on. Their tasks must then have
  // arenas and input memory that no other tasks of the lane use.
  void allow_preemption(size_t lane, bool allowed);
  void call(size_t lane);  // serve() returns to its caller, who does the rest
  void stop(size_t lane);
  bool is_done(const FrameJob& job) const noexcept;
  bool wait(const FrameJob& job, int64_t timeout_ns) noexcept;  // false: not done yet
  // Returns when a lane ended a frame or kick() was called since `seen` was returned, or after the timeout.
  uint64_t wait(uint64_t seen, int64_t timeout_ns) noexcept;
  void kick() noexcept;
  bool is_idle(size_t lane) const noexcept;
  // Since when the lane has been at a task, and which of the oldest frame's due ones; 0 if at none.
  int64_t running(size_t lane, std::shared_ptr<GraphNode>& node) const noexcept;
  size_t count() const noexcept;
  // Frames that a lane still works on, or will: the urgent ones, or the others.
  size_t in_flight(bool urgent = false) const noexcept;

 private:
  struct Entry {
    std::shared_ptr<FrameJob> job;  // null: a call, or the stop
    bool stop = false;
  };
  struct Lane final : PreemptionPoint {
    Lane(Lanes& lanes, size_t index) : owner(lanes), number(index) {}
    void run_urgent() noexcept override;
    using PreemptionPoint::set_wanted;

    Lanes& owner;
    const size_t number;
    std::condition_variable wake;
    std::vector<Entry> queue;                       // the front one is at work
    std::vector<std::shared_ptr<FrameJob>> urgent;  // likewise
    bool preemptible = false;
    Running running, running_urgent;
  };

  void push(size_t lane, Entry entry);
  // The lane's thread, with the lock held: all urgent frames that there are.
  void serve_urgent(Lane& lane, std::unique_lock<std::mutex>& lock) noexcept;
  // The lane's thread, without the lock: the lane's part of a frame.
  static void work(Lane& lane, FrameJob& job, Running& running) noexcept;
  void end(FrameJob& job) noexcept;  // with the lock held: a lane is through with it

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t changes_ = 0;
  size_t in_flight_[2] = {0, 0};  // by urgent
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::shared_ptr<FrameJob>> free_;
};

}  // namespace mnnlite
