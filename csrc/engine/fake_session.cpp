#include "engine/fake_session.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>

#include "engine/preemption.hpp"

namespace mnnlite {

Status FakeArena::claim(size_t bytes, float** buffer) noexcept {
  if (bytes > limit_ || !shared_.reserve(bytes))
    return Status::error(Code::out_of_memory, "the fake engine got no %zu bytes for its shared buffer (limit %zu)",
                         bytes, limit_);
  *buffer = static_cast<float*>(shared_.data());
  return {};
}

void FakeArena::poison() noexcept {
  float* values = static_cast<float*>(shared_.data());
  std::fill_n(values, shared_.size() / sizeof(float), std::numeric_limits<float>::quiet_NaN());
}

Status FakeSession::make(std::shared_ptr<FakeArena> arena, const FakeOptions& options,
                         std::unique_ptr<FakeSession>& result) {
  std::unique_ptr<FakeSession> session(new FakeSession(std::move(arena), options));
  MNNLITE_TRY(session->allocate());
  result = std::move(session);
  return {};
}

Status FakeSession::allocate() {
  const size_t bytes = sizeof(float) * elements_of(options_.dims);
  input_ = Block{};
  outputs_.clear();
  outputs_.resize(static_cast<size_t>(options_.outputs));
  bool got = input_.reserve(bytes);
  for (Block& output : outputs_) got = got && output.reserve(sizeof(float) * elements_of(output_dims()));
  if (!got) return Status::error(Code::out_of_memory, "no memory for a fake session of %zu bytes", bytes);
  std::memset(input_.data(), 0, bytes);
  return {};
}

Status FakeSession::resize(std::vector<int32_t> dims) {
  options_.dims = std::move(dims);
  given_ = nullptr;
  ++generation_;
  return allocate();
}

size_t FakeSession::elements_of(const std::vector<int32_t>& dims) noexcept {
  size_t count = 1;
  for (int32_t extent : dims) count *= static_cast<size_t>(extent);
  return count;
}

TensorView FakeSession::view_of(const char* name, void* data, const std::vector<int32_t>& dims) noexcept {
  TensorView view{};
  view.data = data;
  view.name = name;
  view.dtype = MNNLITE_F32;
  view.rank = static_cast<int32_t>(dims.size());
  view.layout = view.rank == 4 ? MNNLITE_NCHW : MNNLITE_PLAIN;
  std::copy(dims.begin(), dims.end(), view.dims);
  return view;
}

TensorView FakeSession::input(int) const noexcept {
  return view_of("x", given_ ? given_ : input_.data(), options_.dims);
}

TensorView FakeSession::output(int index) const noexcept {
  return view_of("y", outputs_[static_cast<size_t>(index)].data(), output_dims());
}

Status FakeSession::run(OutputMask wanted) noexcept {
  const int32_t run = runs_++;
  wanted_ = wanted;
  if (run == options_.fail_at_run) {
    Status status = Status::error(Code::engine, "the fake engine failed at run %d as asked", run);
    status.engine_code = 3;
    return status;
  }
  const size_t elements = elements_of(options_.dims), in_output = elements_of(output_dims());
  float* shared = nullptr;
  MNNLITE_TRY(arena_->claim(std::max(options_.dynamic_bytes, elements * sizeof(float)), &shared));
  const float* x = static_cast<const float*>(input(0).data);
  PreemptionPoint* const point = PreemptionPoint::current();
  const auto operators = static_cast<size_t>(options_.operators);
  for (size_t op = 0; op < operators; ++op) {
    if (point) point->pass();
    if (options_.latency_us > 0)
      std::this_thread::sleep_for(std::chrono::microseconds(options_.latency_us / options_.operators));
    const size_t begin = elements * op / operators, end = elements * (op + 1) / operators;
    std::copy(x + begin, x + end, shared + begin);
  }
  for (size_t k = 0; k < outputs_.size(); ++k) {
    if (!wants(wanted, k)) continue;
    float* const y = static_cast<float*>(outputs_[k].data());
    for (size_t i = 0; i < in_output; ++i) y[i] = i < elements ? shared[i] * static_cast<float>(k + 1) : 0;
  }
  if (options_.poison_after_run) arena_->poison();
  return {};
}

SessionNeed FakeSession::need() const noexcept {
  const size_t bytes = sizeof(float) * elements_of(options_.dims);
  const size_t outputs = sizeof(float) * elements_of(output_dims()) * outputs_.size();
  return {outputs, std::max(options_.dynamic_bytes, bytes), bytes, outputs};
}

}  // namespace mnnlite
