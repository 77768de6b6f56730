#include "task/input_pool.hpp"

#include <algorithm>
#include <cstring>

namespace mnnlite {

bool InputPool::join(const std::shared_ptr<Session>& session, int input) {
  users_.reserve(users_.size() + 1);
  const size_t bytes = stored_bytes(session->input(input));
  if (bytes > memory_.size() && !resize(bytes)) return false;
  session->use_input_memory(input, memory_.data());
  users_.push_back({session, input});
  return true;
}

void InputPool::fit() noexcept {
  users_.erase(std::remove_if(users_.begin(), users_.end(), [](const User& each) { return each.session.expired(); }),
               users_.end());
  size_t largest = 0;
  for (const User& each : users_)
    if (const std::shared_ptr<Session> session = each.session.lock())
      largest = std::max(largest, stored_bytes(session->input(each.input)));
  if (users_.empty())
    memory_ = Block{};
  else if (largest + kAlignment <= memory_.size())
    resize(largest);
}

bool InputPool::resize(size_t bytes) noexcept {
  Block fresh;
  if (!fresh.reserve(bytes)) return false;
  std::memset(fresh.data(), 0, bytes);
  for (const User& each : users_)
    if (const std::shared_ptr<Session> session = each.session.lock())
      session->use_input_memory(each.input, fresh.data());
  memory_ = std::move(fresh);
  filled_ = false;
  return true;
}

bool InputPool::holds(const ImageSpec& spec, const TensorView& tensor, const Region& region) const noexcept {
  return filled_ && tensor.dtype == tensor_.dtype && tensor.layout == tensor_.layout && tensor.rank == tensor_.rank &&
         std::equal(tensor.dims, tensor.dims + tensor.rank, tensor_.dims) && tensor.scale == tensor_.scale &&
         tensor.zero_point == tensor_.zero_point && region.width == region_.width && region.height == region_.height &&
         std::equal(region.to_frame.m, region.to_frame.m + 9, region_.to_frame.m) && spec == spec_;
}

void InputPool::set_holds(const ImageSpec& spec, const TensorView& tensor, const Region& region) noexcept {
  filled_ = true;
  spec_ = spec;
  tensor_ = tensor;
  region_ = region;
}

}  // namespace mnnlite
