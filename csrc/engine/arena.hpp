// One runtime of the engine, shared by the sessions of a lane: one buffer for feature maps, as large as the largest needs.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <MNN/Interpreter.hpp>
#include <MNN/expr/Executor.hpp>

#include "core/status.hpp"
#include "engine/exclusive_lock.hpp"
#include "engine/options.hpp"

namespace mnnlite {

class MnnSession;

class Arena : public std::enable_shared_from_this<Arena> {
 public:
  static Status make(const ArenaOptions& options, std::shared_ptr<Arena>& result) noexcept;
  ~Arena();

  const ArenaOptions& options() const noexcept { return options_; }  // backend as it became, after a fallback
  bool has_half() const noexcept { return half_; }                   // whether it can, see computes_in_half
  // Whether a session of this precision computes in half floats: on a CPU that has them with low, on a GPU but with high.
  bool computes_in_half(Level precision) const noexcept {
    return half_ && (is_gpu(options_.backend) ? precision != Level::high : precision == Level::low);
  }
  // Why it is not the backend that was asked for; empty if it is.
  const std::string& fell_back() const noexcept { return fell_back_; }
  ExclusiveLock& lock() noexcept { return lock_; }

  // All below: the caller holds lock().

  // Give the shared buffer and freed weights back to the system; it grows again at the next run.
  void shrink() noexcept;

  // Before a run of a session that needs `dynamic_bytes` of the shared buffer. Growing it in place is not safe: if that
  // fails, the engine keeps the old size over a null block and the next session crashes. So it only ever grows from
  // nothing, and a failure leaves it at nothing.
  void make_room(size_t dynamic_bytes) noexcept;
  void lost_room() noexcept { room_ = 0; }  // the run was out of memory

  // Static memory (weights, outputs) of all living sessions. May be read without the lock.
  size_t static_bytes() const noexcept { return static_bytes_; }
  void set_static_bytes(size_t bytes) noexcept { static_bytes_ = bytes; }

  // Destroy what retire() queued.
  void destroy_deferred() noexcept;

  // The calling thread stands for the arena from now on, instead of the one that made it. Any thread.
  void adopt() noexcept { owner_ = std::this_thread::get_id(); }

  // Any thread, no lock needed: `session` will not be used again. It is destroyed at once if the calling thread is the
  // one that stands for the arena and nothing runs in it, else by the next call that holds the lock. In a forked child it is
  // leaked: its engine stayed in the parent.
  static void retire(MnnSession* session) noexcept;
  // Destroy what is queued in arenas that nobody uses at the moment.
  static void destroy_deferred_idle() noexcept;

  MNN::Express::Executor& executor() noexcept { return *executor_; }
  const MNN::RuntimeInfo& runtime() const noexcept { return runtime_; }

  // The runtime holds one level of Winograd for all, which operators read while they are created: that of the session created
  // last. `hint` makes it this one, before a session is planned; `hinted` says that a session was created with it.
  Status hint(Winograd level) noexcept;
  void hinted(Winograd level) noexcept { hint_ = level; }

 private:
  Arena() = default;
  Status start(BackendKind kind);  // the engine's runtime of that backend

  ArenaOptions options_;
  bool half_ = false;
  std::string fell_back_;
  ExclusiveLock lock_;
  std::atomic<std::thread::id> owner_{std::this_thread::get_id()};
  MNN::BackendConfig config_;
  Winograd hint_ = Winograd::large;
  std::shared_ptr<MNN::Express::Executor> executor_;
  MNN::RuntimeInfo runtime_;
  std::atomic<size_t> static_bytes_{0};
  size_t room_ = 0;  // how large the shared buffer is at least
};

// Of a session in an arena: the backend, and the number of threads or the bits that stand for it on a GPU.
MNN::ScheduleConfig schedule_config(const ArenaOptions& options, MNN::BackendConfig& config) noexcept;

// Precision, memory and power as the engine takes them.
MNN::BackendConfig backend_config(const ArenaOptions& options) noexcept;

// The affinity of the calling thread, restored at the end of the scope: with power "high" or "low" the engine pins the
// thread that calls it and never unpins it. Does nothing when `wanted` is false.
class KeepAffinity {
 public:
  explicit KeepAffinity(bool wanted) noexcept;
  ~KeepAffinity();
  KeepAffinity(const KeepAffinity&) = delete;
  KeepAffinity& operator=(const KeepAffinity&) = delete;

 private:
  bool saved_ = false;
  alignas(8) unsigned char mask_[128];
};

}  // namespace mnnlite
