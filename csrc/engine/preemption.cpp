#include "engine/preemption.hpp"

#include <chrono>

namespace mnnlite {
namespace {

thread_local PreemptionPoint* current_point = nullptr;

int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

PreemptionPoint* PreemptionPoint::current() noexcept { return current_point; }

void PreemptionPoint::give_way() noexcept {
  const int64_t begin = now_ns();
  {
    const PreemptionScope uninterrupted(nullptr);
    run_urgent();
  }
  ++times_;
  given_ns_ += now_ns() - begin;
}

PreemptionScope::PreemptionScope(PreemptionPoint* point) noexcept : before_(current_point) { current_point = point; }

PreemptionScope::~PreemptionScope() { current_point = before_; }

}  // namespace mnnlite
