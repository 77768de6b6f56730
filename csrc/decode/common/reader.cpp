#include "decode/common/reader.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decode/common/kernels.hpp"

namespace mnnlite {
namespace {

// Where element (c, y, x) of a slot lies: (c / pack) * group + (c % pack) * channel + y * row + x * column.
struct Strides {
  int32_t pack, group, channel, row, column, slot;
};

Strides strides_of(const TensorView& tensor, const ImageDims& dims) noexcept {
  const int32_t area = dims.height * dims.width, pack = pack_of(layout_of(tensor));
  if (layout_of(tensor) == Layout::nhwc && tensor.rank == 4)
    return {1, 1, 1, dims.width * dims.channels, dims.channels, area * dims.channels};
  if (pack > 1) return {pack, area * pack, 1, dims.width * pack, pack, (dims.channels + pack - 1) / pack * area * pack};
  return {1, area, 0, dims.width, 1, area * dims.channels};
}

constexpr int32_t kTile = 64;  // pixels: with all their channels they stay in the first-level cache

template <class T, class Convert>
void reorder(const T* source, const ImageDims& dims, const Strides& s, Order order, float* out,
             Convert convert) noexcept {
  if (order == Order::hwc) {
    for (int32_t y = 0; y < dims.height; ++y)
      for (int32_t x = 0; x < dims.width; ++x)
        for (int32_t c = 0; c < dims.channels; ++c)
          *out++ = convert(source[c / s.pack * s.group + c % s.pack * s.channel + y * s.row + x * s.column]);
    return;
  }
  const int32_t area = dims.height * dims.width;
  // Channels are interleaved. Tile by tile, so that the source is read once and not once a channel.
  for (int32_t y = 0; y < dims.height; ++y)
    for (int32_t begin = 0; begin < dims.width; begin += kTile) {
      const int32_t end = std::min(begin + kTile, dims.width);
      for (int32_t c = 0; c < dims.channels; ++c) {
        const T* from = source + c / s.pack * s.group + c % s.pack * s.channel + y * s.row;
        float* to = out + c * area + y * dims.width;
        for (int32_t x = begin; x < end; ++x) to[x] = convert(from[x * s.column]);
      }
    }
}

// Packed tensors of rank 2 and 3 are channels with trailing extents of 1.
ImageDims packed_dims(const TensorView& tensor) noexcept {
  ImageDims dims{tensor.dims[0], tensor.rank > 1 ? tensor.dims[1] : 1, tensor.rank > 2 ? tensor.dims[2] : 1, 1};
  for (int axis = 3; axis < tensor.rank; ++axis) dims.width *= tensor.dims[axis];
  return dims;
}

template <class T, class Convert>
void load(const TensorView& tensor, int slot, Order order, bool in_order, int32_t per_slot, float* out,
          Convert convert) noexcept {
  const T* data = static_cast<const T*>(tensor.data);
  if (in_order) {
    data += static_cast<size_t>(slot) * static_cast<size_t>(per_slot);
    for (int32_t i = 0; i < per_slot; ++i) out[i] = convert(data[i]);
    return;
  }
  ImageDims dims;
  if (pack_of(layout_of(tensor)) > 1)
    dims = packed_dims(tensor);
  else
    image_dims(tensor, dims);
  const Strides s = strides_of(tensor, dims);
  reorder(data + static_cast<size_t>(slot) * static_cast<size_t>(s.slot), dims, s, order, out, convert);
}

}  // namespace

bool image_dims(const TensorView& tensor, ImageDims& dims) noexcept {
  const int32_t* d = tensor.dims;
  if (tensor.rank == 3)
    dims = {d[0], 1, d[1], d[2]};
  else if (tensor.rank != 4)
    return false;
  else if (layout_of(tensor) == Layout::nhwc)
    dims = {d[0], d[3], d[1], d[2]};
  else
    dims = {d[0], d[1], d[2], d[3]};
  return true;
}

float half_to_float(uint16_t half) noexcept {
  // The result does not depend on the flush-to-zero mode: ARM's own conversion does not, elsewhere no float denormal appears
  // on the way.
#if defined(__aarch64__)
  __fp16 number;
  std::memcpy(&number, &half, 2);
  return number;
#else
  constexpr uint32_t kExponent = 0x7c00u << 13;
  uint32_t bits = (half & 0x7fffu) << 13;
  const uint32_t exponent = bits & kExponent;
  bits += (127u - 15u) << 23;
  if (exponent == kExponent) bits += (128u - 16u) << 23;
  float value;
  if (exponent == 0) {
    constexpr uint32_t kMagic = 113u << 23;
    float magic;
    std::memcpy(&magic, &kMagic, 4);
    bits += 1u << 23;
    std::memcpy(&value, &bits, 4);
    value -= magic;
    std::memcpy(&bits, &value, 4);
  }
  bits |= (half & 0x8000u) << 16;
  std::memcpy(&value, &bits, 4);
  return value;
#endif
}

Status Reader::plan(const char* family, const TensorView& desc, Order order, Needs& needs, int slots) noexcept {
  char text[96];
  ImageDims dims;
  if (order != Order::flat && !image_dims(desc, dims))
    return Status::error(Code::decoder, "%s: output \"%s\" is %s, an image of rank 4 (or 3: N, H, W) is wanted", family,
                         desc.name, describe(desc, text));
  const bool unbatched = desc.rank < 2;  // a bare vector or number is one slot's
  if ((unbatched ? 1 : desc.dims[0]) < (slots > 0 ? slots : needs.max_items()))
    return Status::error(Code::decoder, "%s: output \"%s\" is %s, %d items do not fit its first axis", family,
                         desc.name, describe(desc, text), needs.max_items());
  per_slot_ = 1;
  for (int axis = unbatched ? 0 : 1; axis < desc.rank; ++axis) per_slot_ *= desc.dims[axis];
  const Layout layout = layout_of(desc);
  if (order == Order::own) order = layout == Layout::nhwc && desc.rank == 4 ? Order::hwc : Order::chw;
  order_ = order;
  const bool swapped = order == Order::chw   ? layout == Layout::nhwc && dims.channels > 1 && desc.rank == 4
                       : order == Order::hwc ? layout != Layout::nhwc && dims.channels > 1
                                             : false;
  in_order_ = pack_of(layout) == 1 && !swapped;
  direct_ = in_order_ && dtype_of(desc) == DType::f32;
  if (!direct_) scratch_ = needs.scratch<float>(per_slot_);
  return {};
}

const float* Reader::read(const Call& call, const TensorView& tensor, int slot) const noexcept {
  if (direct_)
    return static_cast<const float*>(tensor.data) + static_cast<size_t>(slot) * static_cast<size_t>(per_slot_);
  float* out = call.at<float>(scratch_);
  const float scale = tensor.scale != 0 ? tensor.scale : 1.0f;
  const int32_t zero = tensor.scale != 0 ? tensor.zero_point : 0;
  auto dequantise = [scale, zero](auto q) {
    // The difference is exact in double, so each real value is rounded once.
    return static_cast<float>((static_cast<double>(q) - zero) * scale);
  };
  switch (dtype_of(tensor)) {
    case DType::f32: load<float>(tensor, slot, order_, in_order_, per_slot_, out, [](float v) { return v; }); break;
    case DType::f16:
      load<uint16_t>(tensor, slot, order_, in_order_, per_slot_, out, [](uint16_t v) { return half_to_float(v); });
      break;
    case DType::i32: load<int32_t>(tensor, slot, order_, in_order_, per_slot_, out, dequantise); break;
    case DType::u8: load<uint8_t>(tensor, slot, order_, in_order_, per_slot_, out, dequantise); break;
    case DType::i8: load<int8_t>(tensor, slot, order_, in_order_, per_slot_, out, dequantise); break;
  }
  return out;
}

bool all_finite(const float* values, int64_t count) noexcept {
  constexpr int64_t kFew = 16;  // a call of a kernel costs as much
  if (count >= kFew) return decode_kernels().all_finite(values, count);
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(values[i])) return false;
  return true;
}

Status not_finite(const TensorView& tensor, int slot, const float* values, int64_t count) noexcept {
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(values[i]))
      return Status::error(Code::decoder, "output \"%s\" holds %s at index %lld of slot %d; finite numbers are wanted",
                           tensor.name ? tensor.name : "?", std::isnan(values[i]) ? "NaN" : "an infinity",
                           static_cast<long long>(i), slot);
  return {};
}

Status check_finite(const TensorView& tensor, int slot, const float* values, int64_t count) noexcept {
  return all_finite(values, count) ? Status{} : not_finite(tensor, slot, values, count);
}

}  // namespace mnnlite
