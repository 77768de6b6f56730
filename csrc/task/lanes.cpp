#include "task/lanes.hpp"

#include <algorithm>
#include <chrono>
#include <new>

namespace mnnlite {
namespace {

constexpr size_t kRoom = 64;  // for what waits in a lane, so that it can be told to end where there is no memory

}  // namespace

Lanes::Lanes(size_t count) {
  while (lanes_.size() < count) add();
}

void Lanes::add() {
  const std::lock_guard<std::mutex> guard(mutex_);
  auto lane = std::make_unique<Lane>(*this, lanes_.size());
  lane->queue.reserve(kRoom);
  lanes_.push_back(std::move(lane));
}

size_t Lanes::count() const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  return lanes_.size();
}

std::shared_ptr<FrameJob> Lanes::new_job() {
  std::shared_ptr<FrameJob> job;
  size_t count = 0;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    count = lanes_.size();
    if (!free_.empty()) {
      job = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!job) job = std::make_shared<FrameJob>();
  if (job->lanes.size() < count) job->lanes.resize(count);
  return job;
}

void Lanes::release(std::shared_ptr<FrameJob> job) noexcept try {
  for (FrameJob::LaneJob& lane_job : job->lanes) {
    // It may have been given up before it was submitted.
    for (size_t i = 0; i < std::min(lane_job.due.size(), lane_job.outcomes.size()); ++i)
      lane_job.due[i].node->recycle(lane_job.outcomes[i].results);
    lane_job.due.clear();
  }
  job->urgent = false;
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
  for (const std::unique_ptr<Lane>& lane : lanes_) {  // either all get it or none
    if (job->urgent)
      lane->urgent.reserve(lane->urgent.size() + 1);
    else
      lane->queue.reserve(lane->queue.size() + 1);
  }
  job->pending_ = 0;
  for (size_t lane = 0; lane < job->lanes.size(); ++lane) {
    if (job->lanes[lane].due.empty()) continue;
    ++job->pending_;
    if (!job->urgent) {
      push(lane, {job, false});
      continue;
    }
    Lane& target = *lanes_[lane];
    target.urgent.push_back(job);
    target.set_wanted(true);
    target.wake.notify_one();
  }
  if (job->pending_ > 0) ++in_flight_[job->urgent];
}

void Lanes::allow_preemption(size_t lane, bool allowed) {
  const std::lock_guard<std::mutex> guard(mutex_);
  lanes_[lane]->preemptible = allowed;
}

void Lanes::call(size_t lane) {
  const std::lock_guard<std::mutex> guard(mutex_);
  push(lane, {nullptr, false});
}

void Lanes::stop(size_t lane) {
  const std::lock_guard<std::mutex> guard(mutex_);
  push(lane, {nullptr, true});
}

Lanes::Wake Lanes::serve(size_t lane) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  Lane& mine = *lanes_[lane];
  for (;;) {
    mine.wake.wait(lock, [&] { return !mine.queue.empty() || !mine.urgent.empty(); });
    if (!mine.urgent.empty()) {
      serve_urgent(mine, lock);
      continue;
    }
    if (!mine.queue.front().job) {
      const bool stop = mine.queue.front().stop;
      mine.queue.erase(mine.queue.begin());
      return stop ? Wake::stop : Wake::call;
    }
    const std::shared_ptr<FrameJob> job = mine.queue.front().job;
    const bool preemptible = mine.preemptible;
    lock.unlock();
    {
      const PreemptionScope scope(preemptible ? &mine : nullptr);
      work(mine, *job, mine.running);
    }
    lock.lock();
    mine.queue.erase(mine.queue.begin());
    end(*job);
  }
}

void Lanes::serve_urgent(Lane& lane, std::unique_lock<std::mutex>& lock) noexcept {
  while (!lane.urgent.empty()) {
    const std::shared_ptr<FrameJob> job = lane.urgent.front();
    lock.unlock();
    work(lane, *job, lane.running_urgent);
    lock.lock();
    lane.urgent.erase(lane.urgent.begin());
    end(*job);
  }
  lane.set_wanted(false);
}

void Lanes::Lane::run_urgent() noexcept {
  std::unique_lock<std::mutex> lock(owner.mutex_);
  owner.serve_urgent(*this, lock);
}

void Lanes::work(Lane& lane, FrameJob& job, Running& running) noexcept {
  FrameJob::LaneJob& lane_job = job.lanes[lane.number];
  const int32_t times = lane.times();
  const int64_t given = lane.given_ns();
  lane_job.begin = steady_ns();
  run_all(lane_job.due, job.frame, lane_job.outcomes, running);
  lane_job.end = steady_ns();
  lane_job.preemptions = lane.times() - times;
  lane_job.given_ns = lane.given_ns() - given;
}

void Lanes::end(FrameJob& job) noexcept {
  if (--job.pending_ == 0) --in_flight_[job.urgent];
  ++changes_;
  changed_.notify_all();
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

size_t Lanes::in_flight(bool urgent) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  return in_flight_[urgent];
}

int64_t Lanes::running(size_t lane, std::shared_ptr<GraphNode>& node) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  const Lane& each = *lanes_[lane];
  // An urgent frame that is at work stands before the one that it interrupted.
  const int64_t urgent = each.running_urgent.begin.load(std::memory_order_acquire);
  const Running& running = urgent != 0 ? each.running_urgent : each.running;
  const int64_t begin = urgent != 0 ? urgent : each.running.begin.load(std::memory_order_acquire);
  const FrameJob* job = nullptr;
  if (urgent != 0 && !each.urgent.empty()) job = each.urgent.front().get();
  if (urgent == 0 && !each.queue.empty()) job = each.queue.front().job.get();
  if (begin == 0 || !job) return 0;
  const std::vector<ScheduledTask>& due = job->lanes[lane].due;
  const auto index = static_cast<size_t>(running.index.load(std::memory_order_relaxed));
  if (index >= due.size()) return 0;
  node = due[index].node;
  return begin;
}

}  // namespace mnnlite
