// What an operator's attribute must hold, apart from windows and the weights of convolutions: vectors that the engine
// reads without asking are there and long enough, and numbers that it divides by, indexes with or allocates by are
// possible.
#include <cmath>

#include "engine/verify_numbers.hpp"
#include "engine/verify_operator.hpp"

namespace mnnlite {
namespace {

constexpr int64_t kMostInput = 1 << 26;  // elements: two frames of 4K in three channels

bool is_axis(int32_t value) noexcept { return within(value, -int32_t{kMostAxes}, kMostAxes); }

bool are_axes(const Values<int32_t>& values) noexcept {
  if (values.size() > kMostAxes) return false;
  for (uint32_t i = 0; i < values.size(); ++i)
    if (!is_axis(values[i])) return false;
  return true;
}

// 3 to 5, 18, 30 and above have a number in the format and nothing in the engine that computes them.
bool is_binary_kind(int32_t kind) noexcept { return within(kind, 0, 2) || within(kind, 6, 17) || within(kind, 19, 29); }

bool is_permutation(const Values<int32_t>& values) noexcept {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (!within(values[i], 0, static_cast<int64_t>(values.size()) - 1)) return false;
    seen |= 1u << values[i];
  }
  return values.size() <= kMostAxes && seen == (1u << values.size()) - 1;
}

constexpr Fault kNoAxis = "its axis is not possible";

Fault check_quantised_values(const Record& values) noexcept {
  // clang-format off: a table's fields, as the format numbers them
  enum {
    weight, bias, scale, tensor_scale, method, bits, zero_point, output_zero_point, clamp_min, clamp_max, winograd,
    output_type, float_zeros
  };
  // clang-format on
  if (!values || values.values<float>(tensor_scale).size() < 1) return kShort;
  const uint32_t scales = values.values<float>(tensor_scale).size();
  if (values.has(float_zeros) && values.values<float>(float_zeros).size() != scales &&
      values.values<float>(float_zeros).size() != 1)
    return kShort;
  return nullptr;
}

Fault check_input(const Record& input) noexcept {
  enum { dims, type, format };
  const auto extents = input.values<int32_t>(dims);
  if (extents.size() > kMostAxes) return "it has more axes than the engine allows";
  int64_t product = 1;
  for (uint32_t axis = 0; axis < extents.size(); ++axis) {
    if (extents[axis] < -1) return "its shape is not possible";
    product *= extents[axis] > 0 ? extents[axis] : 1;
    if (product > kMostInput) return "its shape has more elements than an input can have";
  }
  if (input.scalar<uint8_t>(format, 2) > 3) return "its layout is not known";
  switch (input.number(type, kFloat)) {
    case kFloat:
    case kInt32:
    case kUint8:
    case kInt8:
    case kInt64:
    case kQuint8:
    case kHalf:
    case kBfloat16:
    case 2:
    case 5:
    case 10:
    case 11:
    case 13:
    case 15:
    case 16:
    case 17: return nullptr;
    default: return "its elements are of a type that is not known";
  }
}

Fault check_scale(const Record& scale, ExternalBytes& external) noexcept {
  enum { channels, scales, biases, external_bytes };
  const auto where = scale.values<int64_t>(external_bytes);
  if (where.size() > 1) {
    if (!external.take(where, 1) || where[1] % 4 != 0 || where[1] < 4)
      return "its range in the file of weights is not possible";
    return where.size() > 2 && where[2] > where[1] ? "its range in the file of weights is not possible" : nullptr;
  }
  const uint32_t count = scale.values<float>(scales).size();
  if (count < 1 || (scale.has(biases) && scale.values<float>(biases).size() < count)) return kShort;
  return nullptr;
}

Fault check_layer_norm(const Record& norm, ExternalBytes& external) noexcept {
  enum { axis, epsilon, gamma, beta, group, external_bytes };
  if (!are_axes(norm.values<int32_t>(axis))) return kNoAxis;
  if (norm.number(group, 1) < 0) return kNumber;
  const auto where = norm.values<int64_t>(external_bytes);
  if (where.size() > 1) {
    if (!external.take(where, 2) || where[1] % 4 != 0 || where[2] > where[1])
      return "its range in the file of weights is not possible";
    return where[2] == where[1] ? nullptr : kShort;
  }
  if (norm.has(gamma) && norm.has(beta) && norm.values<float>(gamma).size() != norm.values<float>(beta).size())
    return kShort;
  return nullptr;
}

Fault check_slice(const Operator& op) noexcept {
  enum { axis, points, source };
  if (!is_axis(op.record.number(axis))) return kNoAxis;
  const auto cuts = op.record.values<int32_t>(points);
  const uint8_t from = op.record.scalar<uint8_t>(source, 0);
  const uint32_t outputs = op.outputs.size();
  if (from > 4) return kNumber;
  if (from == 0 && cuts.size() + 1 != outputs && cuts.size() != outputs) return "it has not one output for each part";
  if (from == 0 && !op.record.has(points)) return kShort;
  if (op.inputs.size() == 1 && cuts.size() > 1 && cuts.size() != outputs) return "it has not one output for each part";
  if (cuts.size() == 1 && from != 0 && cuts[0] == 0) return kNumber;
  return all_within(cuts, -1, INT32_MAX) ? nullptr : kNumber;
}

Fault check_space_batch(const Operator& op, ExternalBytes& external) noexcept {
  enum { dims = 0, int32s = 5 };
  if (op.inputs.size() == 3) return nullptr;
  const Record blocks = op.record.record(0), pads = op.record.record(1);
  if (!op.record || op.inputs.size() != 1) return "it needs an attribute, or the sizes as inputs";
  if (check_constant(blocks, false, external) || check_constant(pads, false, external)) return kShort;
  const auto shape = blocks.values<int32_t>(dims), sizes = blocks.values<int32_t>(int32s),
             sides = pads.values<int32_t>(int32s);
  if (shape.size() < 1 || !within(shape[0], 1, 3) || sizes.size() < static_cast<uint32_t>(shape[0]) ||
      sides.size() < 2 * static_cast<uint32_t>(shape[0]))
    return kShort;
  return all_within(sizes, 1, kMostSide) && all_within(sides, -kMostSide, kMostSide) ? nullptr : kNumber;
}

Fault check_blobs(const Record& record, std::initializer_list<int> needed, ExternalBytes& external) noexcept {
  for (int slot : needed)
    if (check_constant(record.record(slot), false, external)) return kShort;
  return nullptr;
}

// A region of a loop or raster: three extents, and as many steps of each side.
Fault check_loop(const Operator& op) noexcept {
  enum { tensors, outputs, inputs, extras, parallel, count, commands, initial };
  enum { own, steps, size, indexes, view, fuse, iterations };
  const Record& loop = op.record;
  const int32_t number = loop.number(tensors);
  if (number < 1 || number > (1 << 20) || loop.number(count) < 0) return kNumber;
  if (loop.values<int32_t>(outputs).size() != op.outputs.size() ||
      loop.values<int32_t>(inputs).size() > op.inputs.size())
    return kShort;
  for (int slot : {outputs, inputs})
    if (!all_within(loop.values<int32_t>(slot), 0, number - 1)) return kNumber;
  if (loop.records(extras) != op.outputs.size()) return kShort;
  for (uint32_t i = 0; i < loop.records(extras); ++i)
    if (!loop.record(extras, i).record(0)) return kShort;
  for (int list : {commands, initial})
    for (uint32_t i = 0; i < loop.records(list); ++i) {
      const Record command = loop.record(list, i);
      if (list == initial && !command.has(size)) continue;
      const uint32_t views = command.records(view);
      if (command.values<int32_t>(size).size() < 3 || views < 1 || command.values<int32_t>(steps).size() < views ||
          command.values<int32_t>(indexes).size() < views || command.values<int32_t>(iterations).size() < views ||
          !command.record(own))
        return kShort;
      if (!all_within(command.values<int32_t>(indexes), 0, number - 1) ||
          !all_within(command.values<int32_t>(iterations), -1, number - 1))
        return kNumber;
      for (uint32_t each = 0; each < views; ++each)
        if (command.record(view, each).values<int32_t>(1).size() < 3) return kShort;
    }
  return nullptr;
}

Fault check_raster(const Record& extra) noexcept {
  enum { type, engine, info, attributes };
  enum { text, number, flag, key, kind, real, tensor, list };
  if (!extra) return "its regions are missing";
  for (uint32_t i = 0; i < extra.records(attributes); ++i) {
    const Record each = extra.record(attributes, i);
    if (!each.has(key)) return kShort;
    if (each.text(key) == "shape" && (!each.record(list) || each.record(list).values<int32_t>(1).size() > kMostAxes))
      return kShort;
    if (each.text(key) == "region" && (!each.record(tensor) || each.record(tensor).values<int32_t>(5).size() % 11 != 0))
      return kShort;
  }
  return extra.has(attributes) ? nullptr : kShort;
}

}  // namespace

Fault check_attribute(const Operator& op, ExternalBytes& external) noexcept {
  const Record& record = op.record;
  switch (op.type) {
    case kConst:
    case kTrainableParam: return check_constant(record, true, external);
    case kSpaceToBatchNd:
    case kBatchToSpaceNd: return check_space_batch(op, external);
    case kRaster: return check_raster(op.attribute == T::extra ? record : Record());
    case kReshape:
    case kQuantizedReshape:
      if (op.inputs.size() == 1 && !record.has(0)) return "its shape is missing";
      break;
    case kUnsqueeze:
      if (op.inputs.size() == 1 && !record.has(0)) return "its axes are missing";
      break;
    case kExpandDims:
      if (op.inputs.size() == 1 && !record) return "its axis is missing";
      break;
    case kStridedSlice:  // ONNX's may do without steps
      if (op.inputs.size() < 4 && record.number(7) == 0) return "it has a wrong number of inputs";
      break;
    case kIdentity:
      if (op.inputs.size() != op.outputs.size()) return "it has not as many outputs as inputs";
      break;
    default: break;
  }
  switch (op.attribute) {
    case T::convolution_2d: return check_convolution(op, external);
    case T::tf_quantized_conv_2d: return check_tf_convolution(record);
    case T::convolution_3d: return check_convolution_3d(record);
    case T::arg_max: {
      enum { out_max, top_k, axis };
      const int32_t value = record.number(axis);
      if (!is_axis(value) && value != 10000) return kNoAxis;
      return within(record.number(top_k), 0, 1 << 20) && within(record.number(out_max), 0, 1 << 20) ? nullptr : kNumber;
    }
    case T::axis: return is_axis(record.number(0)) ? nullptr : kNoAxis;
    case T::pack_param: return is_axis(record.number(1)) ? nullptr : kNoAxis;
    case T::one_hot_param: return is_axis(record.number(1, -1)) ? nullptr : kNoAxis;
    case T::expand_dims: return is_axis(record.number(2)) ? nullptr : kNoAxis;
    case T::quantized_concat: return is_axis(record.number(1)) && record.record(4) ? nullptr : kNoAxis;
    case T::flatten: return is_axis(record.number(0)) && is_axis(record.number(1)) ? nullptr : kNoAxis;
    case T::crop: {
      const auto offsets = record.values<int32_t>(1);
      return within(record.number(0, 2), 0, 3) && offsets.size() >= 1 && all_within(offsets, 0, kMostSide) ? nullptr
                                                                                                           : kNumber;
    }
    case T::cast_param:
      return within(record.number(1), 1, 19) ? nullptr : "it makes elements of a type that is not known";
    case T::pool: return check_pool(record);
    case T::pool_3d: return check_pool_3d(record);
    case T::permute:
      return !record.has(0) || is_permutation(record.values<int32_t>(0)) ? nullptr : "it does not permute axes";
    case T::reshape:
    case T::quantized_reshape:
      return record.values<int32_t>(0).size() <= kMostAxes && all_within(record.values<int32_t>(0), -1, INT32_MAX)
                 ? nullptr
                 : "its shape is not possible";
    case T::reduction_param:
      if (record.scalar<uint8_t>(0, 0) > 8) return "it is of a kind that is not known";
      return are_axes(record.values<int32_t>(1)) ? nullptr : kNoAxis;
    case T::moments_param:
    case T::squeeze_param: return are_axes(record.values<int32_t>(0)) ? nullptr : kNoAxis;
    case T::slice: return check_slice(op);
    case T::input: return op.type == kInput ? check_input(record) : nullptr;
    case T::interp:
      if (!within(record.number(4), 0, 4) || record.scalar<uint8_t>(10, 0) > 6)
        return "it is of a kind that is not known";
      for (int slot : {2, 3, 12})
        if (!within(record.number(slot), 0, kMostSide)) return kNumber;
      for (int slot : {0, 1, 11})
        if (!(std::fabs(record.scalar<float>(slot, 0)) < 4096.0f)) return kNumber;
      return nullptr;
    case T::resize:
      return std::fabs(record.scalar<float>(0, 0)) < 4096.0f && std::fabs(record.scalar<float>(1, 0)) < 4096.0f
                 ? nullptr
                 : kNumber;
    case T::prelu:
      return within(record.number(0), 1, INT32_MAX) &&
                     record.values<float>(1).size() >= static_cast<uint32_t>(record.number(0))
                 ? nullptr
                 : kShort;
    case T::scale: return check_scale(record, external);
    case T::layer_norm:
    case T::group_norm: return op.attribute == T::layer_norm ? check_layer_norm(record, external) : nullptr;
    case T::eltwise: return record.scalar<uint8_t>(0, 0) <= 3 ? nullptr : "it is of a kind that is not known";
    case T::eltwise_int8:
      for (int slot : {1, 2, 3})
        if (Fault fault = check_quantised_values(record.record(slot))) return fault;
      return record.scalar<uint8_t>(0, 0) <= 3 ? nullptr : "it is of a kind that is not known";
    case T::quantized_float_param: return check_quantised_values(record);
    case T::binary_op:
      // Scattering without an operation writes -1.
      if (op.type != kBinaryOp && record.number(0) == -1) return nullptr;
      return is_binary_kind(record.number(0)) ? nullptr : "it is of a kind that is not known";
    case T::unary_op:
      if (record.has(2) && record.values<int8_t>(2).size() < 255) return kShort;
      return within(record.number(0), 0, 63) ? nullptr : "it is of a kind that is not known";
    case T::inner_product: {
      const int64_t outputs = record.number(0);
      const uint32_t weights = record.values<float>(3).size();
      if (outputs < 1 || record.values<float>(4).size() < outputs) return "its bias is shorter than its outputs";
      return record.has(7) ||
                     (weights > 0 && weights % outputs == 0 && record.number(2) == static_cast<int64_t>(weights))
                 ? nullptr
                 : kShort;
    }
    case T::depth_space_param: return within(record.number(0), 1, 1024) ? nullptr : kNumber;
    case T::strided_slice_param: return within(record.number(7), 0, 1) ? nullptr : kNumber;
    case T::space_batch: return nullptr;
    case T::batch_norm: {
      const int64_t channels = record.number(0);
      for (int slot : {1, 2, 3, 4})
        if (channels < 1 || record.values<float>(slot).size() < channels) return kShort;
      return nullptr;
    }
    case T::normalize: return record.values<float>(3).size() >= 1 ? nullptr : kShort;
    case T::lrn: return within(record.number(1), 1, kMostSide) ? nullptr : kNumber;
    case T::lstm:
      if (!within(record.number(0), 1, kMostSide)) return kNumber;
      return op.outputs.size() == 1 && op.inputs.size() < 4 ? check_blobs(record, {3, 4, 5}, external) : nullptr;
    case T::rnn_param: return within(record.number(0), 1, kMostSide) ? nullptr : kNumber;
    case T::detection_post_process_param:
      return record.values<float>(7).size() >= 4 && within(record.number(0), 1, kMostSide) &&
                     within(record.number(1), 1, kMostSide) && within(record.number(5), 1, kMostSide)
                 ? nullptr
                 : kNumber;
    case T::detection_output:
      return within(record.number(0), 1, kMostSide) && within(record.number(3), 1, kMostSide) ? nullptr : kNumber;
    case T::proposal:
      if (!within(record.number(3), 1, kMostSide) || !within(record.number(0), 1, kMostSide)) return kNumber;
      return check_blobs(record, {6, 7, 8}, external);
    case T::prior_box:
      return record.values<float>(0).size() >= 1 && record.values<float>(3).size() >= 4 ? nullptr : kShort;
    case T::roi_parameters:
      return within(record.number(0), 1, kMostSide) && within(record.number(1), 1, kMostSide) &&
                     within(record.number(3, -1), -1, 64)
                 ? nullptr
                 : kNumber;
    case T::image_process_param:
      return record.values<int32_t>(8).size() >= 4 && all_within(record.values<int32_t>(8), 1, kMostSide) &&
                     record.values<float>(4).size() >= 4 && record.values<float>(5).size() >= 4 &&
                     record.values<float>(6).size() >= 9
                 ? nullptr
                 : kShort;
    case T::grid_sample:
      return record.scalar<uint8_t>(0, 0) <= 1 && record.scalar<uint8_t>(1, 0) <= 3 ? nullptr : kNumber;
    case T::quantized_add: return record.record(1) && record.record(2) && record.record(3) ? nullptr : kShort;
    case T::quantized_avg_pool:
    case T::quantized_max_pool:
      for (int slot : {0, 1, 8, 9})
        if (!within(record.number(slot), 1, kMostSide)) return "its window is not possible";
      return nullptr;
    case T::quantized_logistic: return record.record(0) && record.record(1) ? nullptr : kShort;
    case T::dequantize: return record.record(0) ? nullptr : kShort;
    case T::tensor_convert_info:
      return record.scalar<uint8_t>(0, 0) <= 3 && record.scalar<uint8_t>(1, 0) <= 3 ? nullptr
                                                                                    : "its layout is not known";
    case T::tensor_array:
      return record.values<int32_t>(2).size() <= kMostAxes && is_axis(record.number(4)) ? nullptr : kNumber;
    case T::stft_param:
      return within(record.number(0), 1, 1 << 20) && within(record.number(1), 1, 1 << 20) ? nullptr : kNumber;
    case T::loop_param: return check_loop(op);
    default: return nullptr;
  }
}

}  // namespace mnnlite
