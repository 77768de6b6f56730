// One input memory for the tasks of a lane: each fills it from the frame, runs, and has no more use for it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/memory.hpp"
#include "core/status.hpp"
#include "engine/session.hpp"
#include "image/geometry.hpp"

namespace mnnlite {

// The lane's thread only.
class InputPool {
 public:
  // From now on the session reads this input from the pool. False if there is no memory: the input keeps its own.
  bool join(const std::shared_ptr<Session>& session, int input);
  // As large as the largest input of those that are still there; the memory of the others is given back.
  void fit() noexcept;
  size_t bytes() const noexcept { return memory_.size(); }

  // A frame begins: nothing in the memory is of it.
  void begin_frame() noexcept { filled_ = false; }
  // Whether the memory already holds these pixels made by this spec for such a tensor: then filling it is saved.
  bool holds(const ImageSpec& spec, const TensorView& tensor, const Region& region) const noexcept;
  void set_holds(const ImageSpec& spec, const TensorView& tensor, const Region& region) noexcept;
  void spoil() noexcept { filled_ = false; }

 private:
  struct User {
    std::weak_ptr<Session> session;
    int input;
  };

  bool resize(size_t bytes) noexcept;

  Block memory_;
  std::vector<User> users_;
  bool filled_ = false;
  ImageSpec spec_;
  TensorView tensor_{};
  Region region_;
};

}  // namespace mnnlite
