// What is left of an engine in the child of a fork: its memory, and none of its threads.
#pragma once

#include <cstdint>

#include "core/status.hpp"
#include "engine/options.hpp"

namespace mnnlite {

// Counts forks: an engine and its threads do not survive one. Incremented in the child.
uint32_t fork_generation() noexcept;

// Whether this process may make a runtime of `threads`. Not if another thread was in the engine when the process was forked,
// since whatever lock it held is held for ever; and not with several threads if the parent had the engine start some: the
// engine has one pool for the process, and believes that its threads are still there. Remembers that threads are started.
Status may_start_engine(int threads) noexcept;

// Whether this process may use a GPU's driver: not if its parent did before the fork, whose context and threads it has not.
Status may_start_gpu(BackendKind kind) noexcept;
void gpu_started() noexcept;  // it does from now on

// Around what takes the engine's locks for the whole process: loading, planning, freeing.
class InEngine {
 public:
  InEngine() noexcept;
  ~InEngine();
  InEngine(const InEngine&) = delete;
  InEngine& operator=(const InEngine&) = delete;
};

}  // namespace mnnlite
