// Outputs as float32 in the order a family wants. A tensor that lies so already is read in place; others (halves,
// quantised integers, packed or swapped axes) are converted into scratch, slot by slot.
#pragma once

#include "decode/common/family.hpp"

namespace mnnlite {

// Logical extents of an image-like tensor. Rank 4 in any layout; rank 3 is N, H, W with one channel.
struct ImageDims {
  int32_t slots = 0, channels = 0, height = 0, width = 0;
};
bool image_dims(const TensorView& tensor, ImageDims& dims) noexcept;

// own: hwc if the tensor lies so, otherwise chw; order() tells which. flat: row-major over the logical axes after the first.
enum class Order { chw, hwc, own, flat };

class Reader {
 public:
  // `desc` must have at least needs.max_items() slots, or `slots` for heads that do not lie slot by slot.
  Status plan(const char* family, const TensorView& desc, Order order, Needs& needs, int slots = 0) noexcept;

  int32_t per_slot() const noexcept { return per_slot_; }
  bool direct() const noexcept { return direct_; }
  Order order() const noexcept { return order_; }

  // The elements of one slot; valid until the next call for this reader.
  const float* read(const Call& call, const TensorView& tensor, int slot) const noexcept;
  // What `read` last returned, for the same slot.
  const float* again(const Call& call, const TensorView& tensor, int slot) const noexcept {
    return direct_ ? read(call, tensor, slot) : call.at<float>(scratch_);
  }

 private:
  Order order_ = Order::flat;
  bool in_order_ = false;  // the tensor's elements lie one after another as they are wanted
  bool direct_ = false;    // and are floats
  int32_t per_slot_ = 0;
  size_t scratch_ = 0;
};

float half_to_float(uint16_t half) noexcept;

// An error that names the tensor, if one of the values is NaN or infinite.
Status check_finite(const TensorView& tensor, int slot, const float* values, int64_t count) noexcept;
bool all_finite(const float* values, int64_t count) noexcept;
Status not_finite(const TensorView& tensor, int slot, const float* values, int64_t count) noexcept;

}  // namespace mnnlite
