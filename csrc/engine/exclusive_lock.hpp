// Who may enter an arena: one thread at a time, and never a forked child.
#pragma once

#include <atomic>
#include <thread>

#include "core/status.hpp"
#include "engine/fork.hpp"

namespace mnnlite {

class ExclusiveLock {
 public:
  ExclusiveLock() noexcept : generation_(fork_generation()) {}

  bool try_lock() noexcept { return !busy_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { busy_.store(false, std::memory_order_release); }

  // True in a child of the process that made this.
  bool forked() const noexcept { return generation_ != fork_generation(); }

 private:
  std::atomic<bool> busy_{false};
  const uint32_t generation_;
};

// Holds an ExclusiveLock for a scope, or says why not.
class ExclusiveGuard {
 public:
  explicit ExclusiveGuard(ExclusiveLock& lock) noexcept : lock_(lock) {
    if (lock.forked()) {
      status_ = Status::error(Code::state,
                              "used after fork: the engine and its threads stayed in the parent process; "
                              "load the model in the process that runs it");
    } else if (!lock.try_lock()) {
      status_ = Status::error(Code::busy,
                              "already in use by another thread: an arena runs one call at a time; give each "
                              "thread a model in an arena of its own");
    } else {
      held_ = true;
    }
  }
  ~ExclusiveGuard() {
    if (held_) lock_.unlock();
  }
  ExclusiveGuard(const ExclusiveGuard&) = delete;
  ExclusiveGuard& operator=(const ExclusiveGuard&) = delete;

  const Status& status() const noexcept { return status_; }

 private:
  ExclusiveLock& lock_;
  Status status_;
  bool held_ = false;
};

}  // namespace mnnlite
