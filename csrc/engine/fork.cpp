#include "engine/fork.hpp"

#include <pthread.h>

#include <atomic>

namespace mnnlite {
namespace {

std::atomic<uint32_t> generation{0};
std::atomic<int> inside{0};  // threads within InEngine
thread_local int mine = 0;   // how often this thread is among them
std::atomic<bool> threads_started{false};
std::atomic<bool> gpu_used{false};
bool threads_lost = false, locks_lost = false, gpu_lost = false;  // written in a new child alone, which has one thread

void become_child() noexcept {
  generation.fetch_add(1, std::memory_order_relaxed);
  locks_lost = locks_lost || inside.load() > mine;
  threads_lost = threads_lost || threads_started.load();
  inside = mine;
  threads_started = false;
  gpu_lost = gpu_lost || gpu_used.load();
}

// Registered once, when the library is loaded.
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, &become_child);

}  // namespace

uint32_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

Status may_start_engine(int threads) noexcept {
  if (locks_lost)
    return Status::error(
        Code::state,
        "this process was forked while another thread of its parent loaded or closed a model, so the engine "
        "cannot be used in it; fork earlier, or start processes with the method \"spawn\"");
  if (threads == 1) return {};
  if (threads_lost)
    return Status::error(
        Code::state,
        "threads=%d in a forked process whose parent already used several: the engine's threads stayed there; "
        "use threads=1, fork before, or start processes with the method \"spawn\"",
        threads);
  threads_started = true;
  return {};
}

Status may_start_gpu(BackendKind kind) noexcept {
  if (gpu_lost)
    return Status::error(
        Code::state,
        "backend '%s' in a process that was forked after its parent had used a GPU: the driver's context "
        "stayed there; fork before, or start processes with the method \"spawn\"",
        kind == BackendKind::vulkan   ? "vulkan"
        : kind == BackendKind::opengl ? "opengl"
                                      : "opencl");
  return {};
}

void gpu_started() noexcept { gpu_used = true; }

InEngine::InEngine() noexcept {
  ++mine;
  ++inside;
}

InEngine::~InEngine() {
  --inside;
  --mine;
}

}  // namespace mnnlite
