#include "task/lanes.hpp"

#include <algorithm>
#include <chrono>
#include <new>

namespace mnnlite {

Lanes::Lanes(size_t count) {
  for (size_t i = 0; i < count; ++i) lanes_.push_back(std::make_unique<Lane>());
}

std::shared_ptr<Ticket> Lanes::ticket() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!free_.empty()) {
      std::shared_ptr<Ticket> ticket = std::move(free_.back());
      free_.pop_back();
      return ticket;
    }
  }
  const auto ticket = std::make_shared<Ticket>();
  ticket->shares.resize(lanes_.size());
  return ticket;
}

void Lanes::release(std::shared_ptr<Ticket> ticket) noexcept try {
  for (Ticket::Share& share : ticket->shares) {
    for (size_t i = 0; i < share.due.size(); ++i) share.due[i].member->give_back(share.outcomes[i].results);
    share.due.clear();
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  free_.push_back(std::move(ticket));
} catch (const std::bad_alloc&) {
  return;  // one less to use again
}

void Lanes::push(size_t lane, Entry entry) {
  Lane& target = *lanes_[lane];
  target.queue.push_back(std::move(entry));
  target.wake.notify_one();
}

void Lanes::submit(const std::shared_ptr<Ticket>& ticket) {
  for (Ticket::Share& share : ticket->shares) share.outcomes.resize(std::max(share.outcomes.size(), share.due.size()));
  const std::lock_guard<std::mutex> guard(mutex_);
  ticket->pending_ = 0;
  for (size_t lane = 0; lane < lanes_.size(); ++lane)
    if (!ticket->shares[lane].due.empty()) {
      ++ticket->pending_;
      push(lane, {ticket, false});
    }
  if (ticket->pending_ > 0) ++in_flight_;
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
    if (!mine.queue.front().ticket) {
      const bool stop = mine.queue.front().stop;
      mine.queue.erase(mine.queue.begin());
      return stop ? Turn::stop : Turn::call;
    }
    const std::shared_ptr<Ticket> ticket = mine.queue.front().ticket;
    Ticket::Share& share = ticket->shares[lane];
    lock.unlock();
    share.begin = steady_ns();
    run_all(share.due, ticket->frame, share.outcomes, mine.running);
    share.end = steady_ns();
    lock.lock();
    mine.queue.erase(mine.queue.begin());
    if (--ticket->pending_ == 0) --in_flight_;
    ++changes_;
    changed_.notify_all();
  }
}

bool Lanes::is_done(const Ticket& ticket) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  return ticket.pending_ == 0;
}

bool Lanes::wait(const Ticket& ticket, int64_t timeout_ns) noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return ticket.pending_ == 0; });
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

int64_t Lanes::running(size_t lane, std::shared_ptr<Member>& member) const noexcept {
  const std::lock_guard<std::mutex> guard(mutex_);
  const Lane& each = *lanes_[lane];
  const int64_t begin = each.running.begin.load(std::memory_order_acquire);
  if (begin == 0 || each.queue.empty() || !each.queue.front().ticket) return 0;
  const std::vector<Due>& due = each.queue.front().ticket->shares[lane].due;
  const auto index = static_cast<size_t>(each.running.index.load(std::memory_order_relaxed));
  if (index >= due.size()) return 0;
  member = due[index].member;
  return begin;
}

}  // namespace mnnlite
