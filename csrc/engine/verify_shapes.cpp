#include "engine/verify_shapes.hpp"

#include <algorithm>
#include <new>

#include "engine/verify_shape.hpp"

namespace mnnlite {
namespace {

enum { net_operators = 3, net_names = 7 };
enum { op_inputs, op_attribute_type, op_attribute, op_name, op_outputs, op_type, op_layout };

class Propagation {
 public:
  Propagation(const Record& net, const std::vector<NamedShape>& given)
      : net_(net), given_(given), in_{std::vector<Shape>(net.records(net_names))} {}

  // Null, or what is wrong with operator `index`.
  Fault step(uint32_t index) {
    const Record record = net_.record(net_operators, index);
    Operator op;
    op.type = record.number(op_type);
    op.inputs = record.values<int32_t>(op_inputs);
    op.outputs = record.values<int32_t>(op_outputs);
    const uint8_t attribute = record.scalar<uint8_t>(op_attribute_type, 0);
    if (attribute >= 1 && attribute <= kAttributes) {
      op.attribute = static_cast<T>(attribute - 1);
      op.record = record.record(op_attribute);
    }
    op.named = true;
    op.plain = attribute == 0;
    op.layout = record.scalar<uint8_t>(op_layout, kNhwc);
    Shape made;
    if (op.type == kInput) {
      made = input(op);
    } else if (op.type == kConst || op.type == kTrainableParam) {
      made = constant(op.record);
    } else if (Fault fault = compute(op, made)) {
      return fault;
    } else if (op.inputs.size() > 0 && !can_read(op.type, in_(op, 0).type)) {
      return "it computes with floats and reads whole numbers";
    } else {
      follow_values(op, in_, made);
    }
    made.type = type_of(op);
    if (made.known) {
      if (made.dims.size() > kMostAxes) return "its output has more axes than the engine allows";
      for (const int32_t extent : made.dims)
        if (extent < 0) return "its output would have a negative size";
      if (made.elements() > kMostTensor) return "its output is larger than the engine can count";
    }
    // Slices and the like have several outputs; only the first is followed.
    for (uint32_t i = 0; i < op.outputs.size(); ++i)
      in_.all[static_cast<size_t>(op.outputs[i])] = i == 0 ? made : Shape();
    return nullptr;
  }

 private:
  // Operators whose kernels read floats whatever is there. Quantised tensors are described elsewhere and have no type here.
  static bool can_read(int32_t op, int32_t type) {
    const bool is_bytes = type == kUint8 || type == kInt8;
    switch (op) {
      case kConvolution:
      case kConvolutionDepthwise:
      case kDeconvolution:
      case kDeconvolutionDepthwise:
      case kInnerProduct:
      case kPReLU:
      case kSigmoid:
      case kTanH:
      case kElu:
      case kSelu:
      case kScale:
      case kSoftmax:
      case kLayerNorm: return !is_bytes && type != kInt32 && type != kInt64;
      case kUnaryOp: return !is_bytes;
      default: return true;
    }
  }

  int32_t type_of(const Operator& op) const {
    switch (op.type) {
      case kInput: return op.record.number(1, kFloat);
      case kConst:
      case kTrainableParam: return op.record.number(2, kFloat);
      case kCast: return op.record.number(1, kFloat);
      case kConvertTensor:
      case kReshape:
      case kPermute:
      case kTranspose:
      case kSqueeze:
      case kUnsqueeze:
      case kIdentity: return op.inputs.size() > 0 ? in_(op, 0).type : 0;
      default: return 0;
    }
  }

  Shape input(const Operator& op) const {
    const std::string name = net_.text(net_names, static_cast<uint32_t>(op.outputs[0]));
    Shape shape;
    shape.layout = op.record.scalar<uint8_t>(2, kNc4hw4);
    for (const NamedShape& each : given_) {
      if (each.name != name) continue;
      shape.known = std::all_of(each.dims.begin(), each.dims.end(), [](int32_t extent) { return extent > 0; });
      shape.dims = each.dims;
    }
    return shape;
  }

  static Shape constant(const Record& blob) {
    enum { dims, format, type, int32s = 5 };
    Shape shape;
    const auto extents = blob.values<int32_t>(dims);
    for (uint32_t axis = 0; axis < extents.size(); ++axis) shape.dims.push_back(extents[axis]);
    shape.layout = blob.scalar<uint8_t>(format, kNchw);
    shape.known = std::all_of(shape.dims.begin(), shape.dims.end(), [](int32_t extent) { return extent >= 0; });
    if (blob.number(type, kFloat) == kInt32 && shape.known && shape.elements() <= blob.values<int32_t>(int32s).size() &&
        shape.elements() <= 64) {
      shape.constant = true;
      const auto all = blob.values<int32_t>(int32s);
      for (uint32_t i = 0; i < shape.elements(); ++i) shape.values.push_back(all[i]);
    }
    return shape;
  }

  Fault compute(const Operator& op, Shape& made) {
    if (op.inputs.size() == 0) return nullptr;
    switch (op.type) {
      case kConvolution:
      case kConvolutionDepthwise:
      case kDeconvolution:
      case kDeconvolutionDepthwise:
      case kConvInt8:
      case kDepthwiseConvInt8: return convolution(op, in_, made);
      case kPooling: return op.outputs.size() == 1 ? pooling(op, in_, made) : nullptr;
      case kScatterNd: return scatter(op, in_, made);
      case kPooling3D:
        return in_(op, 0).known && in_(op, 0).rank() < 3 ? "it reads a tensor with too few axes" : nullptr;
      case kBinaryOp:
        if (Fault fault = division(op, in_)) return fault;
        return broadcast(op, in_, made);
      case kSelect: return broadcast(op, in_, made);
      case kConcat: return concat(op, in_, made);
      case kReshape: return reshape(op, in_, made);
      case kPermute:
      case kTranspose: return permute(op, in_, made);
      case kConvertTensor: return convert(op, in_, made);
      case kReduction: return reduce(op, in_, made);
      case kMatMul:
      case kBatchMatMul: return multiply(op, in_, made);
      case kInterp: return interpolate(op, in_, made);
      case kSqueeze:
      case kUnsqueeze: return squeeze(op, in_, made);
      case kSlice: return slice(op, in_, made);
      case kPadding: return pad(op, in_, made);
      case kArgMax:
      case kArgMin: {
        const Shape& from = in_(op, 0);
        int32_t axis = op.record.number(2);
        if (from.known && from.layout != kNc4hw4 && !normalize_axis(axis, from.rank()))
          return "its axis is not one of its input's";
        if (from.known && from.layout == kNc4hw4 && (from.rank() != 4 || (axis != 10000 && !normalize_axis(axis, 4))))
          return "its axis is not one of its input's";
        return nullptr;
      }
      case kShape:
      case kRank:
      case kSize:
        made.known = in_(op, 0).known;
        if (op.type == kShape) {
          if (!op.plain) return made.known = false, nullptr;  // a part of the shape
          const bool packed = in_(op, 0).layout == kNc4hw4;
          made.dims = {packed && op.layout == kNhwc ? 4 : in_(op, 0).rank()};
        }
        return nullptr;
      case kStridedSlice: return strided_slice(op, in_, made);
      case kSliceTf:
        for (uint32_t i = 1; i < op.inputs.size(); ++i) {
          const Shape &from = in_(op, 0), &each = in_(op, i);
          if (!each.known) continue;
          if (each.rank() != 1 || (from.known && each.dims[0] != from.rank()))
            return "what says its begin or size has not one number for each axis";
          if (each.type == kFloat) return "what says its begin or size are not whole numbers";
        }
        return nullptr;
      case kFill:
        if (in_(op, 0).known && (in_(op, 0).rank() != 1 || in_(op, 0).dims[0] > static_cast<int32_t>(kMostAxes)))
          return "what says its shape is not possible";
        if (in_(op, 0).constant) {
          made.dims = in_(op, 0).values;
          made.known = std::all_of(made.dims.begin(), made.dims.end(), [](int32_t extent) { return extent >= 0; });
        }
        return nullptr;
      case kTopKV2: return best(op);
      case kSpaceToBatchNd:
      case kBatchToSpaceNd: return blocks(op);
      case kFmhaV2:
      case kSplitGelu:
        return in_(op, 0).known && in_(op, 0).rank() != 3 ? "it reads a tensor that has not three axes" : nullptr;
      case kDepthToSpace:
      case kSpaceToDepth:
        return in_(op, 0).known && in_(op, 0).rank() != 4 ? "it reads a tensor that has not four axes" : nullptr;
      case kInnerProduct: {
        const Shape& from = in_(op, 0);
        if (!from.known) return nullptr;
        const int64_t outputs = op.record.number(0), weights = op.record.values<float>(3).size();
        if (from.rank() != 2 || (weights > 0 && from.dims[1] * outputs != weights))
          return "it has not as many weights as its input asks for";
        return nullptr;
      }
      case kUnaryOp:
      case kReLU:
      case kReLU6:
      case kPReLU:
      case kSigmoid:
      case kTanH:
      case kSoftmax:
      case kElu:
      case kSelu:
      case kScale:
      case kCast:
      case kFloatToInt8:
      case kInt8ToFloat:
      case kLayerNorm:
      case kEltwise:
      case kEltwiseInt8:
      case kIdentity:
      case kCumProd: return alike(op, in_, made);
      default: return nullptr;
    }
  }

  Fault best(const Operator& op) const {
    const Shape &from = in_(op, 0), &count = in_(op, 1);
    if (count.known && count.elements() != 1) return "how many it wants is not a single number";
    if (!from.known) return nullptr;
    int32_t axis = -1;
    if (op.inputs.size() == 3) {
      if (!in_(op, 2).constant || in_(op, 2).values.size() != 1) return nullptr;
      axis = in_(op, 2).values[0];
    }
    if (!normalize_axis(axis, from.rank())) return "its axis is not one of its input's";
    if (count.constant && (count.values[0] < 0 || count.values[0] > from.dims[static_cast<size_t>(axis)]))
      return "it wants more than there are";
    return nullptr;
  }

  // An axis of the batch, one of the channels, and one for each number of the block; two paddings for each.
  Fault blocks(const Operator& op) const {
    const Shape& from = in_(op, 0);
    const int64_t axes = op.inputs.size() > 1 && in_(op, 1).known ? in_(op, 1).elements() : 1;
    if (from.known && from.rank() < 2 + axes) return "it reads a tensor that has not enough axes";
    if (op.inputs.size() > 2 && in_(op, 2).known && in_(op, 2).elements() < 2 * axes)
      return "its paddings are not enough";
    if (op.inputs.size() > 1 && in_(op, 1).constant)
      for (uint32_t i = 0; i < in_(op, 1).values.size(); ++i)
        if (in_(op, 1).values[i] < 1) return "its block is not possible";
    return nullptr;
  }

  const Record net_;
  const std::vector<NamedShape>& given_;
  Tensors in_;
};

}  // namespace

Status verify_shapes(const void* data, const std::vector<NamedShape>& inputs,
                     const std::vector<std::string>& outputs) noexcept try {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  uint32_t offset;
  std::memcpy(&offset, bytes, sizeof offset);
  const Record net(bytes + offset);
  const uint32_t count = net.records(net_operators), tensors = net.records(net_names);
  std::vector<uint8_t> needed(tensors, outputs.empty()), wanted(count, outputs.empty());
  if (!outputs.empty()) {
    for (uint32_t tensor = 0; tensor < tensors; ++tensor)
      needed[tensor] = std::find(outputs.begin(), outputs.end(), net.text(net_names, tensor)) != outputs.end();
    for (uint32_t index = count; index-- > 0;) {
      const Record op = net.record(net_operators, index);
      const auto from = op.values<int32_t>(op_inputs), to = op.values<int32_t>(op_outputs);
      for (uint32_t i = 0; i < to.size(); ++i) wanted[index] |= needed[static_cast<size_t>(to[i])];
      for (uint32_t i = 0; wanted[index] && i < from.size(); ++i) needed[static_cast<size_t>(from[i])] = 1;
    }
  }
  Propagation propagation(net, inputs);
  for (uint32_t index = 0; index < count; ++index) {
    if (!wanted[index]) continue;
    const Fault fault = propagation.step(index);
    if (!fault) continue;
    const Record op = net.record(net_operators, index);
    char type[32];
    return Status::error(Code::unsupported_model, "the engine cannot execute the network: operator %u \"%s\" (%s): %s",
                         index, printable(op.text(op_name)).c_str(), operator_name(op.number(op_type), type), fault);
  }
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to verify a network's shapes");
}

}  // namespace mnnlite
