// Shapes of operators that move a window over height and width, or change these.
#include "engine/verify_shape.hpp"

#include <algorithm>

namespace mnnlite {
namespace {

// Sizes after a window; `pads` are those of both sides.
Fault window(const Operator& op, const Shape& from, Shape& to, const int64_t (&kernel)[2], const int64_t (&stride)[2],
             int64_t pad_mode, const int64_t (&pads)[2], bool ceil, int32_t channels) {
  to = from;
  to.constant = false;
  for (int side = 0; side < 2; ++side) {
    const size_t axis = from.axis_of(2 + side);
    const int64_t size = from.dims[axis];
    int64_t out;
    if (pad_mode == 2) {
      out = (size + stride[side] - 1) / stride[side];
    } else {
      const int64_t free = size + (pad_mode == 1 ? 0 : pads[side]) - kernel[side];
      if (free < 0) return op.type == kPooling ? nullptr : "its kernel is larger than its input";
      out = (ceil ? (free + stride[side] - 1) / stride[side] : free / stride[side]) + 1;
    }
    if (out < 1 || out > INT32_MAX) return "its output would be empty";
    to.dims[axis] = static_cast<int32_t>(out);
  }
  to.dims[from.axis_of(1)] = channels;
  return nullptr;
}

}  // namespace

Fault convolution(const Operator& op, const Tensors& in, Shape& made) {
  enum { common };
  // clang-format off: a table's fields, as the format numbers them
  enum {
    pad_x, pad_y, kernel_x, kernel_y, stride_x, stride_y, dilate_x, dilate_y, pad_mode, group, outputs, inputs, relu,
    relu6, all_pads, outer_pads, has_output_shape
  };
  // clang-format on
  const Shape& from = in(op, 0);
  if (!from.known) return nullptr;
  if (from.rank() < 3) return "it reads a tensor with too few axes";
  if (from.rank() != 4) return nullptr;
  const Record shape = op.record.record(common);
  const int64_t ic = shape.number(inputs), groups = shape.number(group, 1), channels = from.channels();
  int64_t oc = shape.number(outputs);
  int64_t kernel[2] = {shape.number(kernel_y, 1), shape.number(kernel_x, 1)};
  const bool deconvolution = op.type == kDeconvolution || op.type == kDeconvolutionDepthwise;
  const bool depthwise =
      op.type == kConvolutionDepthwise || op.type == kDepthwiseConvInt8 || op.type == kDeconvolutionDepthwise;
  const int64_t count = weights_of(op);
  if (op.inputs.size() > 1 && count == 0) {
    const Shape& weight = in(op, 1);
    if (!weight.known) return nullptr;
    if (weight.rank() != 4) return "its weights have not four axes";
    if (deconvolution || depthwise) return nullptr;
    if (oc == 0) oc = weight.dims[0], kernel[0] = weight.dims[2], kernel[1] = weight.dims[3];
    if (weight.dims[0] != oc || weight.dims[2] != kernel[0] || weight.dims[3] != kernel[1] ||
        channels % weight.dims[1] != 0)
      return "its weights have another shape than it says";
    if (op.inputs.size() > 2 && in(op, 2).known && in(op, 2).elements() < oc)
      return "its bias is shorter than its outputs";
  } else if (count > 0) {
    const int64_t area = kernel[0] * kernel[1];
    if (depthwise) {
      if (channels != oc && count != channels * area)
        return "it reads another number of channels than it has weights for";
      if (channels != oc) return "its outputs are not as many as the channels it reads";
    } else if (deconvolution) {
      if (count != channels * (oc / groups) * area && count != channels * oc * area)
        return "it reads another number of channels than it has weights for";
    } else {
      const int64_t each = count / (oc * area), runtime = ic > 0 && ic != channels ? channels / ic : groups;
      if (runtime < 1 || each * runtime != channels || oc % runtime != 0)
        return "it reads another number of channels than it has weights for";
    }
  }
  const int64_t stride[2] = {shape.number(stride_y, 1), shape.number(stride_x, 1)};
  const int64_t dilate[2] = {shape.number(dilate_y, 1), shape.number(dilate_x, 1)};
  int64_t pads[2] = {2 * int64_t{shape.number(pad_y)}, 2 * int64_t{shape.number(pad_x)}};
  const auto sides = shape.values<int32_t>(all_pads);
  if (shape.has(all_pads)) pads[0] = int64_t{sides[0]} + sides[2], pads[1] = int64_t{sides[1]} + sides[3];
  const int64_t mode = shape.scalar<uint8_t>(pad_mode, 0);
  if (!deconvolution) {
    for (int side = 0; side < 2; ++side) kernel[side] = dilate[side] * (kernel[side] - 1) + 1;
    if (Fault fault = window(op, from, made, kernel, stride, mode, pads, false, static_cast<int32_t>(oc))) return fault;
    made.known = true;
    return nullptr;
  }
  if (shape.scalar<uint8_t>(has_output_shape, 0)) return nullptr;
  made = from;
  const auto outer = shape.values<int32_t>(outer_pads);
  for (int side = 0; side < 2; ++side) {
    const size_t axis = from.axis_of(2 + side);
    int64_t out =
        mode == 2 ? int64_t{from.dims[axis]} * stride[side]
                  : (int64_t{from.dims[axis]} - 1) * stride[side] + dilate[side] * (kernel[side] - 1) + 1 - pads[side];
    if (mode != 2 && shape.has(outer_pads)) out += outer[static_cast<uint32_t>(side)];
    if (out < 1 || out > INT32_MAX) return "its output would be empty";
    made.dims[axis] = static_cast<int32_t>(out);
  }
  made.dims[from.axis_of(1)] = static_cast<int32_t>(oc);
  return nullptr;
}

Fault pooling(const Operator& op, const Tensors& in, Shape& made) {
  enum { pad_x, pad_y, is_global, kernel_x, kernel_y, stride_x, stride_y, type, pad_type, data_type, ceil_model, pads };
  const Shape& from = in(op, 0);
  if (!from.known) return nullptr;
  if (from.rank() < 4) return "it reads a tensor with too few axes";
  if (from.rank() != 4) return nullptr;
  made = from;
  if (op.record.scalar<uint8_t>(is_global, 0)) {
    made.dims[from.axis_of(2)] = made.dims[from.axis_of(3)] = 1;
    return nullptr;
  }
  int64_t both[2] = {2 * int64_t{op.record.number(pad_y)}, 2 * int64_t{op.record.number(pad_x)}};
  const auto sides = op.record.values<int32_t>(pads);
  if (op.record.has(pads)) {
    both[0] = both[1] = 0;
    if (sides.size() == 4) both[0] = int64_t{sides[0]} + sides[2], both[1] = int64_t{sides[1]} + sides[3];
    if (sides.size() == 2) both[0] = int64_t{sides[0]} + sides[1];
  }
  int64_t kernel[2] = {op.record.number(kernel_y), op.record.number(kernel_x)};
  const int64_t stride[2] = {op.record.number(stride_y), op.record.number(stride_x)};
  for (int side = 0; side < 2; ++side)
    kernel[side] = std::min<int64_t>(kernel[side], from.dims[from.axis_of(2 + side)] + both[side]);
  return window(op, from, made, kernel, stride, op.record.scalar<uint8_t>(pad_type, 0), both,
                op.record.scalar<uint8_t>(ceil_model, 1) != 0, from.channels());
}

Fault interpolate(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  if (!from.known) return nullptr;
  if (from.rank() != 4 && from.rank() != 5) return "it reads a tensor with too few or too many axes";
  if (from.rank() != 4 || op.inputs.size() > 2) return nullptr;
  int64_t size[2] = {op.record.number(3), op.record.number(2)};  // height, width
  made = from;
  if (op.inputs.size() == 2) {
    const Shape& second = in(op, 1);
    if (second.known && (second.rank() != 1 || (second.dims[0] != 2 && second.dims[0] != from.rank())))
      return "the size it is given has a wrong shape";
    if (!second.constant) return made = Shape(), nullptr;
    if (second.values.size() == 4) {
      made.dims.assign({second.values[0], second.values[1], second.values[2], second.values[3]});
      return made.dims[0] == from.dims[0] && made.dims[from.axis_of(1)] == from.channels()
                 ? nullptr
                 : "it resizes other axes than height and width";
    }
    size[0] = second.values[0], size[1] = second.values[1];
  } else if (size[0] == 0 || size[1] == 0) {
    for (int side = 0; side < 2; ++side)
      size[side] = static_cast<int64_t>(static_cast<float>(from.dims[from.axis_of(2 + side)]) *
                                        op.record.scalar<float>(side == 0 ? 1 : 0, 0));
  }
  for (int side = 0; side < 2; ++side) {
    if (size[side] < 1 || size[side] > INT32_MAX) return "its output would be empty";
    made.dims[from.axis_of(2 + side)] = static_cast<int32_t>(size[side]);
  }
  return nullptr;
}

Fault pad(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  const Shape& sides = in(op, 1);
  if (!from.known || !sides.known) return nullptr;
  if (sides.elements() < 2 * from.rank()) return "its pads are fewer than its axes";
  if (!sides.constant) return nullptr;
  made = from;
  made.constant = false;
  for (uint32_t axis = 0; axis < from.dims.size(); ++axis) {
    const int64_t size = int64_t{from.dims[axis]} + sides.values[2 * axis] + sides.values[2 * axis + 1];
    if (size < 0 || size > INT32_MAX || sides.values[2 * axis] < -from.dims[axis] ||
        sides.values[2 * axis + 1] < -from.dims[axis])
      return "its pads are not possible";
    made.dims[axis] = static_cast<int32_t>(size);
  }
  return nullptr;
}

}  // namespace mnnlite
