// Operators that move a window: pooling, convolutions over three axes and TensorFlow's quantised ones. Windows, strides
// and pads are possible, and there are as many weights as the window and the channels say.
#include "engine/verify_numbers.hpp"
#include "engine/verify_operator.hpp"

namespace mnnlite {

Fault check_pool(const Record& pool) noexcept {
  // clang-format off: a table's fields, as the format numbers them
  enum {
    pad_x, pad_y, is_global, kernel_x, kernel_y, stride_x, stride_y, type, pad_type, data_type, ceil_model, pads,
    count_type
  };
  // clang-format on
  if (pool.scalar<uint8_t>(type, 0) > 1 || pool.scalar<uint8_t>(pad_type, 0) > 2)
    return "it is of a kind that is not known";
  if (!within(pool.number(pad_x), -kMostSide, kMostSide) || !within(pool.number(pad_y), -kMostSide, kMostSide))
    return kNumber;
  const auto sides = pool.values<int32_t>(pads);
  if (pool.has(pads) && sides.size() != 0 && sides.size() != 2 && sides.size() != 4) return kShort;
  if (!all_within(sides, -kMostSide, kMostSide)) return kNumber;
  if (pool.scalar<uint8_t>(is_global, 0)) return nullptr;
  for (int slot : {kernel_x, kernel_y, stride_x, stride_y})
    if (!within(pool.number(slot), 1, kMostSide)) return "its window is not possible";
  return nullptr;
}

Fault check_pool_3d(const Record& pool) noexcept {
  enum { strides, kernels, pads, type, pad_type, is_global };
  if (pool.scalar<uint8_t>(type, 0) > 1 || pool.scalar<uint8_t>(pad_type, 0) > 2)
    return "it is of a kind that is not known";
  if (pool.scalar<uint8_t>(is_global, 0)) return nullptr;
  for (int slot : {strides, kernels}) {
    const auto sides = pool.values<int32_t>(slot);
    if (sides.size() < 3) return kShort;
    if (!all_within(sides, 1, kMostSide)) return "its window is not possible";
  }
  const auto sides = pool.values<int32_t>(pads);
  if (pool.scalar<uint8_t>(pad_type, 0) == 0 && sides.size() < 3) return kShort;
  return all_within(sides, -kMostSide, kMostSide) ? nullptr : kNumber;
}

Fault check_convolution_3d(const Record& convolution) noexcept {
  enum { common, weight, bias, external };
  // clang-format off: a table's fields, as the format numbers them
  enum {
    dilates, strides, kernels, pads, pad_mode, inputs, outputs, relu, relu6, group, output_pads, has_output_shape
  };
  // clang-format on
  const Record shape = convolution.record(common);
  if (!shape) return "its kernel is not described";
  int64_t area = 1;
  for (int slot : {dilates, strides, kernels}) {
    const auto sides = shape.values<int32_t>(slot);
    if (sides.size() < 3) return kShort;
    if (!all_within(sides, 1, kMostSide)) return "its kernel has no possible size";
  }
  const auto sides = shape.values<int32_t>(kernels);
  for (uint32_t axis = 0; axis < 3; ++axis) area *= sides[axis];
  if (shape.scalar<uint8_t>(pad_mode, 0) > 2) return "its padding is of a kind that is not known";
  const auto all_pads = shape.values<int32_t>(pads), outer = shape.values<int32_t>(output_pads);
  if (shape.scalar<uint8_t>(pad_mode, 0) != 2 && all_pads.size() < 3) return kShort;
  if ((shape.has(pads) && all_pads.size() < 3) || (shape.has(output_pads) && outer.size() < 3)) return kShort;
  if (!all_within(all_pads, -kMostSide, kMostSide) || !all_within(outer, -kMostSide, kMostSide)) return kNumber;
  const int32_t in = shape.number(inputs), out = shape.number(outputs), groups = shape.number(group, 1);
  if (in < 0 || out < 1 || groups < 1 || out % groups != 0) return "its channels or groups are not possible";
  const int64_t count = convolution.values<float>(weight).size();
  if (count < 1 || area > INT32_MAX || count % area != 0 ||
      (in > 0 && int64_t{in} * out * area != count && int64_t{in} * out * area != count * groups))
    return "its weights are not as many as its channels say";
  return convolution.values<float>(bias).size() < static_cast<uint32_t>(out) ? "its bias is shorter than its outputs"
                                                                             : nullptr;
}

Fault check_tf_convolution(const Record& record) noexcept {
  // clang-format off: a table's fields, as the format numbers them
  enum {
    bias, has_bias, common, weight, activation, multiplier, out_max, out_min, shift, bias_quant, depth, filter_quant,
    input_quant, format, output_quant
  };
  // clang-format on
  const Record shape = record.record(common);
  if (!shape || !record.record(bias_quant) || !record.record(filter_quant) || !record.record(input_quant) ||
      !record.record(output_quant))
    return kShort;
  for (int slot : {2, 3, 4, 5, 6, 7})
    if (!within(shape.number(slot, 1), 1, kMostSide)) return "its kernel has no possible size";
  const int64_t outputs = shape.number(10);
  if (outputs < 1 || record.values<int32_t>(bias).size() < outputs) return "its bias is shorter than its outputs";
  const int64_t each = outputs * shape.number(2, 1) * shape.number(3, 1);
  return record.values<uint8_t>(weight).size() % each == 0 && record.values<uint8_t>(weight).size() > 0
             ? nullptr
             : "its weights are not as many as its channels say";
}

}  // namespace mnnlite
