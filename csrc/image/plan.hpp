// The image room's door: a plan is made once for a format, a spec and a kind of tensor, and run on every frame.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/mapping.hpp"
#include "core/status.hpp"
#include "core/views.hpp"
#include "image/geometry.hpp"
#include "image/plan_data.hpp"
#include "image/spec.hpp"

namespace mnnlite {

class ImagePlan {
 public:
  /// Work out everything that does not depend on the frame.
  /// @param desc  the tensor: rank 4, dtype f32, f16, u8 or i8; `data` is not looked at. dims[0] is the number of slots.
  /// @param max_items  most regions of one call, at most dims[0]
  /// @param bits  of a sample, see ImageView; 0: all that it has
  /// @return Code::argument, dtype, layout: what does not fit, and what to do
  static Status make(const ImageSpec& spec, Format format, const TensorView& desc, int32_t max_items, ImagePlan& out,
                     const Isa* isa = nullptr, int32_t bits = 0) noexcept;

  /// Bytes that `run` needs for frames up to this size, 64-byte aligned. Grows with frame_width for Filter::area only.
  size_t scratch_bytes(int32_t frame_width, int32_t frame_height) const noexcept;

  /// Network pixel -> frame pixel for a region; what a decoder's results go through.
  Mapping mapping(const Region& region) const noexcept;

  /// Where in the input a region lies: left, top, right, bottom in network pixels; the bars of a letterbox are beside it.
  void picture(const Region& region, int32_t out[4]) const noexcept;

  /// Fill slots [0, n) of `out` from n regions of one frame. Other slots are left alone.
  /// Allocates nothing, keeps nothing; any number of threads may run one plan, each with its own scratch and tensor.
  /// Exact: equal to the definition on every instruction set. @see mnnlite.reference.image.convert
  /// @pre scratch has scratch_bytes(view.width, view.height); out does not overlap the frame
  Status run(const ImageView& view, const Region* regions, int32_t n, const TensorView& out,
             void* scratch) const noexcept;

  int32_t width() const noexcept { return data_.width; }
  int32_t height() const noexcept { return data_.height; }
  Format format() const noexcept { return data_.format; }
  bool fits(const ImageView& view) const noexcept {
    return view.format == data_.format && image::bits_of(view) == data_.sample_bits;
  }

 private:
  image::PlanData data_;
};

// The tensor without its first `items` slots, for filling a batch from several frames.
TensorView slots_from(const TensorView& tensor, int32_t items) noexcept;

}  // namespace mnnlite
