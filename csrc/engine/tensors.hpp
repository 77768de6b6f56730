// What the engine's tensors say about themselves, as plain data.
#pragma once

#include <MNN/Tensor.hpp>

#include "core/status.hpp"
#include "core/views.hpp"

namespace mnnlite {

// Channels lie in groups of four: no accessor says so, but a tensor's size rounds its channels up then. Asked with a
// channel count of 1, which is put back.
bool is_packed(MNN::Tensor& tensor);

// Type, shape and plain layout; no data. Refuses types and ranks that a view cannot hold.
Status describe_tensor(const MNN::Tensor& tensor, const char* name, TensorView& view);

}  // namespace mnnlite
