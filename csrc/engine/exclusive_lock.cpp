#include "engine/exclusive_lock.hpp"

#include <pthread.h>

namespace mnnlite {
namespace {

std::atomic<uint32_t> generation{0};

// Registered once, when the library is loaded.
[[maybe_unused]] const int registered =
    ::pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

uint32_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

}  // namespace mnnlite
