// Where a network lets an urgent one go first: before each of its operators, on the same thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace mnnlite {

// Of one thread, which is within a PreemptionScope while it runs networks that may be interrupted. What runs in between
// runs in another arena: the one at work is locked, so that an attempt to enter it is refused (ExclusiveGuard). It is not
// interrupted itself.
class PreemptionPoint {
 public:
  PreemptionPoint() = default;
  PreemptionPoint(const PreemptionPoint&) = delete;
  PreemptionPoint& operator=(const PreemptionPoint&) = delete;

  // Of the calling thread; null: it is not to be interrupted.
  static PreemptionPoint* current() noexcept;

  // The thread itself, where its work may rest: one load where nothing is urgent.
  void pass() noexcept {
    if (wanted_.load(std::memory_order_relaxed)) give_way();
  }
  // The thread itself: how often it gave way, and for how long in all.
  int32_t times() const noexcept { return times_; }
  int64_t given_ns() const noexcept { return given_ns_; }

 protected:
  ~PreemptionPoint() = default;
  // Any thread. What is to be done, and the order in which it is seen, is a matter of the deriving class's own lock.
  void set_wanted(bool wanted) noexcept { wanted_.store(wanted, std::memory_order_relaxed); }

 private:
  friend class PreemptionScope;
  virtual void run_urgent() noexcept = 0;
  void give_way() noexcept;

  std::atomic<bool> wanted_{false};
  int32_t times_ = 0;
  int64_t given_ns_ = 0;
};

// The calling thread passes this point, or none if null, until the end of the scope.
class PreemptionScope {
 public:
  explicit PreemptionScope(PreemptionPoint* point) noexcept;
  ~PreemptionScope();
  PreemptionScope(const PreemptionScope&) = delete;
  PreemptionScope& operator=(const PreemptionScope&) = delete;

 private:
  PreemptionPoint* before_;
};

}  // namespace mnnlite
