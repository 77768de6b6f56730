// Tensors in, rows out: what a task holds, whether the decoder is built in or a plug-in.
#pragma once

#include "core/status.hpp"
#include "core/views.hpp"

namespace mnnlite {

class Decoder {
 public:
  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual ~Decoder() = default;

  virtual const char* name() const noexcept = 0;

  // How many names of classes the caller has: planning refuses outputs with another number of classes. 0: not known.
  virtual void expect_names(int32_t) noexcept {}

  // Check shapes and dtypes (data may be null) and say what decode needs for at most max_items slots.
  // May allocate; call again when a shape changes. The frame size in `needs` is the caller's.
  virtual Status plan(const TensorView* desc, int n, int max_items, mnnlite_needs& needs) noexcept = 0;

  // The work, on tensors of the planned shapes. Allocates nothing. `sink` has the planned capacities and
  // comes with its counts at 0; `scratch` is 64-byte aligned. On failure the rows in `sink` mean nothing.
  virtual Status decode(const TensorView* tensors, int n, const mnnlite_item* items, int n_items, mnnlite_sink& sink,
                        void* scratch) const noexcept = 0;
};

}  // namespace mnnlite
