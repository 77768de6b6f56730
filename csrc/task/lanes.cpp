#include "task/lanes.hpp"

#include <algorithm>
#include <chrono>
#include <new>

namespace mnnlite {
namespace {

constexpr size_t kRoom = 64;  // for what waits in a lane, so that it can be told to end where there is no memory

}  // namespace

Lanes::Lanes(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->queue.reserve(kRoom);
  }
}

std::shared_ptr<FrameJob> Lanes::new_job() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!free_.empty()) {
      std::shared_ptr<FrameJob> job = std::move(free_.back());
      free_.pop_back();
      return job;
    }
  }
  const auto job = std::make_shared<FrameJob>();
  job->lanes.resize(lanes_.size());
  return job;
}

void Lanes::release(std::shared_ptr<FrameJob> job) noexcept try {
  for (FrameJob::LaneJob& lane_job : job->lanes) {
    // It may have been given up before it was submitted.
    for (size_t i = 0; i < std::min(lane_job.due.size(), lane_job.outcomes.size()); ++i)
      lane_job.due[i].node->recycle(lane_job.outcomes[i].results);
    lane_job.due.clear();
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  free_.push_back(std::move(job));
} catch (const std::bad_alloc&) {
  return;  // one less to use again
}

void Lanes::push(size_t lane, Entry entry) {
  Lane& target = *lanes_[lane];
  target.queue.push_back(std::move(entry));
  target.wake.notify_one();
}

void Lanes::submit(const std::shared_ptr<FrameJob>& job) {
  for (FrameJob::LaneJob& lane_job : job->lanes)
    lane_job.outcomes.resize(std::max(lane_job.outcomes.size(), lane_job.due.size()));
  const std::lock_guard<std::mutex> guard(mutex_);
  for (const std::unique_ptr<Lane>& lane : lanes_)
    lane->queue.reserve(lane->queue.size() + 1);  // either all get it or none
  job->pending_ = 0;
  for (size_t lane = 0; lane < lanes_.size(); ++lane)
    if (!job->lanes[lane].due.empty()) {
      ++job->pending_;
      push(lane, {job, false});
    }
  if (job->pending_ > 0) ++in_flight_;
}

void Lanes::call(size_t lane) {
  const std::lock_guard<std::mutex> guard(mutex_);
  push(lane, {nullptr, false});
}

void Lanes::stop(size_t lane) {
  const std::lock_guard<std::mutex> guard(mutex_);
  push(lane, {nullptr, true});
}

Lanes::Turn Lanes::serve(size_t lane) noexcept {
  Lane& mine = *lanes_[lane];
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    mine.wake.wait(lock, [&] { return !mine.queue.empty(); });
    if (!mine.queue.front().job) {
      const bool stop = mine.queue.front().stop;
      mine.queue.erase(mine.queue.begin());
      return stop ? Turn::stop : Turn::call;
    }
    const std::shared_ptr<FrameJob> job = mine.queue.front().job;
    FrameJob::LaneJob& lane_job = job->lanes[lane];
    lock.unlock();
    lane_job.begin = steady_ns();
    run_all(lane_job.due, job->frame, lane_job.outcomes, mine.running);
    lane_job.end = steady_ns();
    lock.lock();
    mine.queue.erase(mine.queue.begin());
    if (--job->pending_ == 0) --in_flight_;
    ++changes_;
    changed_.notify_all();
  }
}

bool Lanes::is_done(const FrameJob& job) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  return job.pending_ == 0;
}

bool Lanes::wait(const FrameJob& job, int64_t timeout_ns) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return job.pending_ == 0; });
}

uint64_t Lanes::wait(uint64_t seen, int64_t timeout_ns) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return changes_ != seen; });
  return changes_;
}

void Lanes::kick() noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  ++changes_;
  changed_.notify_all();
}

bool Lanes::is_idle(size_t lane) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  return lanes_[lane]->queue.empty();
}

size_t Lanes::in_flight() const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  return in_flight_;
}

int64_t Lanes::running(size_t lane, std::shared_ptr<GraphNode>& node) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  const Lane& each = *lanes_[lane];
  const int64_t begin = each.running.begin.load(std::memory_order_acquire);
  if (begin == 0 || each.queue.empty() || !each.queue.front().job) return 0;
  const std::vector<ScheduledTask>& due = each.queue.front().job->lanes[lane].due;
  const auto index = static_cast<size_t>(each.running.index.load(std::memory_order_relaxed));
  if (index >= due.size()) return 0;
  node = due[index].node;
  return begin;
}

}  // namespace mnnlite
