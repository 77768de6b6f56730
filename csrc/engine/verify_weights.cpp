// The weights of convolutions and the values of constants: as many as the shapes say, wherever they are.
#include <cmath>
#include <cstdlib>

#include "engine/verify_operator.hpp"

namespace mnnlite {
namespace {

namespace blob {
enum { dims, format, type, uint8s, int8s, int32s, int64s, float32s, strings, external };
}
namespace convolution {
enum { common, weight, bias, quantised, symmetric, sparse, external };
}
namespace geometry {
// clang-format off: a table's fields, as the format numbers them
enum {
  pad_x, pad_y, kernel_x, kernel_y, stride_x, stride_y, dilate_x, dilate_y, pad_mode, group, outputs, inputs, relu,
  relu6, pads, output_pads, has_output_shape
};
// clang-format on
}  // namespace geometry
namespace quantised {
// clang-format off: a table's fields, as the format numbers them
enum {
  buffer, alpha, type, use_int32, quant_scale, scale_in, scale_out, max_or_bits, min, read_type, has_scale_int,
  shape_int32, weight_size, index, alpha_fp16, scale_storage
};
// clang-format on
}  // namespace quantised
namespace symmetric {
enum { weight, bias, scale, tensor_scale };
}

constexpr int64_t kMostElements = INT32_MAX;
constexpr int32_t kMostSide = 65535;  // of kernels, strides, dilations and pads

// Reads a coded block of weights from its start.
struct Cursor {
  const uint8_t* data;
  size_t left;
  bool take(void* value, size_t size) noexcept {
    if (size > left) return false;
    std::memcpy(value, data, size);
    data += size;
    left -= size;
    return true;
  }
};

uint32_t unpack(const uint8_t* data, size_t index, uint32_t bits) noexcept {  // most significant bits first
  uint32_t value = 0;
  for (size_t bit = index * bits; bit < (index + 1) * bits; ++bit)
    value = value << 1 | (data[bit / 8] >> (7 - bit % 8) & 1);
  return value;
}

// The shape at the start of a coded block; false if it does not hold `wanted` values.
bool read_shape(Cursor& cursor, bool wide, int64_t wanted, uint32_t& first) noexcept {
  uint8_t axes = 0;
  if (!cursor.take(&axes, 1) || axes < 1 || axes > 4) return false;
  int64_t product = 1;
  for (uint8_t axis = 0; axis < axes; ++axis) {
    uint32_t extent = 0;
    if (!cursor.take(&extent, wide ? 4 : 2)) return false;
    if (axis == 0) first = extent;
    product *= extent;
    if (product > kMostElements) return false;
  }
  return product == wanted;
}

// A palette of up to 256 values, then an index of as few bits as it needs for each weight.
Fault check_palette(const Record& quan, int64_t wanted) noexcept {
  const auto buffer = quan.values<uint8_t>(quantised::buffer);
  Cursor cursor{buffer.bytes(), buffer.size()};
  uint32_t first = 0;
  if (!read_shape(cursor, quan.scalar<uint8_t>(quantised::shape_int32, 0), wanted, first))
    return "coded weights have another shape than the convolution";
  uint8_t count = 0;
  if (!cursor.take(&count, 1)) return "coded weights end early";
  const size_t samples = count ? count : 256;
  size_t bits = 1;
  while ((size_t{1} << bits) < samples) ++bits;
  if (cursor.left < samples || (static_cast<size_t>(wanted) * bits + 7) / 8 > cursor.left - samples)
    return "coded weights end early";
  return nullptr;
}

// Few weights that are not 0: the distance of each from the one before, a palette, and an index for each.
Fault check_sparse(const Record& quan, int64_t wanted) noexcept {
  const auto buffer = quan.values<uint8_t>(quantised::buffer);
  Cursor cursor{buffer.bytes(), buffer.size()};
  uint32_t first = 0, nonzero = 0;
  if (!read_shape(cursor, quan.scalar<uint8_t>(quantised::shape_int32, 0), wanted, first) || first == 0)
    return "coded weights have another shape than the convolution";
  uint8_t bits = 0, count = 0;
  if (!cursor.take(&nonzero, 4) || !cursor.take(&bits, 1) || bits > 8) return "coded weights end early";
  const uint64_t steps = (uint64_t{nonzero} * bits + 7) / 8;
  if (nonzero > wanted || steps > cursor.left) return "coded weights end early";
  int64_t position = 0;
  for (uint32_t i = 0; i < nonzero; ++i) position += unpack(cursor.data, i, bits);
  if (position >= wanted && nonzero > 0) return "coded weights lie outside of the convolution's";
  cursor.data += steps;
  cursor.left -= static_cast<size_t>(steps);
  if (!cursor.take(&count, 1)) return "coded weights end early";
  const size_t samples = count ? count : 256;
  size_t needed = 1;
  while ((size_t{1} << needed) < samples) ++needed;
  if (cursor.left < samples || (uint64_t{nonzero} * needed + 7) / 8 > cursor.left - samples)
    return "coded weights end early";
  const uint8_t* indices = cursor.data + samples;
  for (uint32_t i = 0; i < nonzero; ++i)
    if (unpack(indices, i, static_cast<uint32_t>(needed)) >= samples)
      return "coded weights name values that are not there";
  return nullptr;
}

Fault check_quantised(const Record& quan, int64_t wanted, int32_t outputs, bool outside) noexcept {
  const int32_t type = quan.number(quantised::type);
  const auto index = quan.values<uint32_t>(quantised::index);
  const bool half = quan.scalar<uint8_t>(quantised::scale_storage, 0) == 1;
  if (half && !quan.has(quantised::alpha_fp16)) return "the scales of the weights are missing";
  const uint32_t scales =
      half ? quan.values<uint16_t>(quantised::alpha_fp16).size() : quan.values<float>(quantised::alpha).size();
  if (quan.has(quantised::index)) {
    if (quan.number(quantised::weight_size) != wanted || index.size() != scales)
      return "sparse weights are not as many as the convolution says";
    for (uint32_t i = 0; i < index.size(); ++i)
      if (index[i] >= static_cast<uint64_t>(wanted)) return "sparse weights lie outside of the convolution's";
    return nullptr;
  }
  if (outside && !quan.has(quantised::buffer)) return nullptr;  // sizes are checked with the range in the file
  if (!quan.has(quantised::buffer)) return "quantised weights are missing";
  const uint32_t bytes = quan.values<uint8_t>(quantised::buffer).size();
  if (type == 3)
    return bytes == wanted * 2 ? nullptr : "weights in half floats are not as many as the convolution says";
  if (type != 1 && type != 2 && type != 4) return "weights are coded in a way that is not known";
  if (type == 4 && bytes != wanted) return "8-bit weights are not as many as the convolution says";
  if (type == 1)
    if (Fault fault = check_palette(quan, wanted)) return fault;
  if (type == 2)
    if (Fault fault = check_sparse(quan, wanted)) return fault;
  const bool old_asymmetric =
      type == 4 && quan.number(quantised::min) == 0 && std::fabs(quan.scalar<float>(quantised::quant_scale, 0)) < 1e-6f;
  const int64_t each = quan.number(quantised::read_type) != 0 || old_asymmetric ? 2 : 1;
  // One scale a channel, or one for each block of a channel.
  if (scales == 0 || scales % (each * outputs) != 0 || wanted % (scales / each) != 0)
    return "the scales of the weights are not as many as outputs";
  return nullptr;
}

bool side_is(int32_t value, int32_t least) noexcept { return value >= least && value <= kMostSide; }

Fault check_geometry(const Operator& op, const Record& common) noexcept {
  using namespace geometry;
  const int32_t least = op.inputs.size() > 1 && op.type != kCol2Im ? 0 : 1;
  for (int slot : {kernel_x, kernel_y})
    if (!side_is(common.number(slot, 1), least)) return "its kernel has no possible size";
  for (int slot : {stride_x, stride_y})
    if (!side_is(common.number(slot, 1), 1)) return "its stride is not possible";
  for (int slot : {dilate_x, dilate_y})
    if (!side_is(common.number(slot, 1), 1)) return "its dilation is not possible";
  for (int slot : {pad_x, pad_y})
    if (std::abs(int64_t{common.number(slot)}) > kMostSide) return "its padding is not possible";
  if (common.scalar<uint8_t>(pad_mode, 0) > 2) return "its padding is of a kind that is not known";
  const auto all_pads = common.values<int32_t>(pads), outer = common.values<int32_t>(output_pads);
  if ((common.has(pads) && all_pads.size() < 4) || (common.has(output_pads) && outer.size() < 2))
    return "it has too few pads";
  for (const auto& each : {all_pads, outer})
    for (uint32_t i = 0; i < each.size(); ++i)
      if (std::abs(int64_t{each[i]}) > kMostSide) return "its padding is not possible";
  if (common.number(group, 1) < 1 || common.number(outputs) < 0 || common.number(inputs) < 0)
    return "its channels or groups are not possible";
  return nullptr;
}

// Weights of each output: as many as `all` says, and what its groups allow. 0: not possible.
bool inputs_match(const Operator& op, const Record& common, int64_t inputs_each) noexcept {
  const int64_t declared = common.number(geometry::inputs), group = common.number(geometry::group, 1);
  const bool depthwise =
      op.type == kConvolutionDepthwise || op.type == kDepthwiseConvInt8 || op.type == kDeconvolutionDepthwise;
  if (inputs_each < 1) return false;
  if (depthwise) return inputs_each == 1;
  return declared == 0 || inputs_each == declared || inputs_each * group == declared;
}

}  // namespace

int64_t elements_of(const Values<int32_t>& dims) noexcept {
  if (dims.size() > kMostAxes) return -1;
  int64_t product = 1;
  for (uint32_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] < 0) return -1;
    product *= dims[axis];
    if (product > kMostElements) return -1;
  }
  return product;
}

bool ExternalBytes::take(const Values<int64_t>& range, uint32_t parts) noexcept {
  if (range.size() < parts + 1) return false;
  int64_t end = range[0];
  if (end < 0) return false;
  for (uint32_t part = 1; part < range.size(); ++part) {
    if (range[part] < 0 || range[part] > (int64_t{1} << 40) || end > (int64_t{1} << 40)) return false;
    end += range[part];
  }
  used = end > used ? end : used;
  if (available < 0) missing = true;
  if (available >= 0 && end > available) beyond = true;
  return true;
}

Fault check_constant(const Record& constant, bool is_operator, ExternalBytes& external) noexcept {
  if (!constant) return "its values are missing";
  const auto dims = constant.values<int32_t>(blob::dims);
  if (dims.size() > kMostAxes) return "it has more axes than the engine allows";
  for (uint32_t axis = 0; axis < dims.size(); ++axis)
    if (dims[axis] <= 0) return nullptr;  // empty: its values are not read
  const int64_t wanted = elements_of(dims);
  if (wanted < 0) return "its shape is not possible";
  const int32_t type = constant.number(blob::type, kFloat);
  int64_t have = -1, width = 1;
  switch (type) {
    case kFloat: have = constant.values<float>(blob::float32s).size(), width = 4; break;
    case kInt32: have = constant.values<int32_t>(blob::int32s).size(), width = 4; break;
    case kUint8:
    case kQuint8: have = constant.values<uint8_t>(blob::uint8s).size(); break;
    case kInt8: have = constant.values<int8_t>(blob::int8s).size(); break;
    case kHalf:
    case kBfloat16: have = constant.values<uint8_t>(blob::uint8s).size() / 2, width = 2; break;
    default: return "its values are of a type that the engine does not read";
  }
  const auto range = constant.values<int64_t>(blob::external);
  if (is_operator && range.size() > 1) {
    if (!external.take(range, 1)) return "its range in the file of weights is not possible";
    if (range[1] != wanted * width) return "its values in the file of weights are not as many as its shape says";
    return type != kHalf || constant.has(blob::uint8s) ? nullptr : "its values are missing";
  }
  return have >= wanted ? nullptr : "its values are fewer than its shape says";
}

int64_t weights_of(const Operator& op) noexcept {
  if (op.inputs.size() > 1 && !op.record.has(convolution::weight) && !op.record.has(convolution::quantised)) return 0;
  const Record common = op.record.record(convolution::common);
  const Record quan = op.record.record(convolution::quantised),
               symmetric_quan = op.record.record(convolution::symmetric);
  const auto range = op.record.values<int64_t>(convolution::external);
  const bool outside = range.size() > 1;
  if (symmetric_quan && symmetric_quan.has(symmetric::weight))
    return symmetric_quan.values<int8_t>(symmetric::weight).size();
  if (!quan) return outside ? range[1] / 4 : op.record.values<float>(convolution::weight).size();
  const auto buffer = quan.values<uint8_t>(quantised::buffer);
  if (quan.has(quantised::index)) return quan.number(quantised::weight_size);
  if (outside) {  // as many as the channels ask for
    const bool depthwise =
        op.type == kConvolutionDepthwise || op.type == kDepthwiseConvInt8 || op.type == kDeconvolutionDepthwise;
    const int64_t area = int64_t{common.number(geometry::kernel_x, 1)} * common.number(geometry::kernel_y, 1);
    return common.number(geometry::outputs) * (depthwise ? 1 : common.number(geometry::inputs)) * area;
  }
  if (quan.number(quantised::type) == 3) return buffer.size() / 2;
  if (quan.number(quantised::type) == 4) return buffer.size();
  // The shape that a coded block starts with.
  Cursor cursor{buffer.bytes(), buffer.size()};
  uint8_t axes = 0;
  if (!cursor.take(&axes, 1) || axes < 1 || axes > 4) return -1;
  int64_t count = 1;
  for (uint8_t axis = 0; axis < axes; ++axis) {
    uint32_t extent = 0;
    if (!cursor.take(&extent, quan.scalar<uint8_t>(quantised::shape_int32, 0) ? 4 : 2)) return -1;
    count *= extent;
    if (count > kMostElements) return -1;
  }
  return count;
}

Fault check_convolution(const Operator& op, ExternalBytes& external) noexcept {
  const Record common = op.record.record(convolution::common);
  if (!common) return "its kernel is not described";
  if (Fault fault = check_geometry(op, common)) return fault;
  if (op.type == kDilation2D || op.type == kIm2Col || op.type == kCol2Im || op.type == kConv2DBackPropFilter) {
    if (op.type != kDilation2D) return nullptr;
  }
  if (!op.named) return "it has no name";
  if (op.inputs.size() > 1 && !op.record.has(convolution::weight) && !op.record.has(convolution::quantised))
    return nullptr;  // weights are an input

  const int32_t outputs = common.number(geometry::outputs);
  const int64_t area = int64_t{common.number(geometry::kernel_x, 1)} * common.number(geometry::kernel_y, 1);
  if (outputs < 1) return "it has no outputs";
  const auto range = op.record.values<int64_t>(convolution::external);
  const auto bias = op.record.values<float>(convolution::bias);
  const Record quan = op.record.record(convolution::quantised),
               symmetric_quan = op.record.record(convolution::symmetric);
  const bool outside = range.size() > 1;
  if (outside && !external.take(range, 2)) return "its range in the file of weights is not possible";
  if (outside && !quan && (range[1] % 4 != 0 || range[2] % 4 != 0))
    return "its range in the file of weights is not possible";
  if (outside && !quan && range[2] / 4 < outputs) return "its bias is shorter than its outputs";
  // Read where they are, as floats.
  if (op.type == kDilation2D && op.record.values<float>(convolution::weight).size() != outputs * area)
    return "its weights are not as many as its channels say";
  const int64_t count = weights_of(op);
  if (count < 1 || count > kMostElements) return "it has no weights";
  // Deconvolutions store the inputs first; the product is the same.
  if (count % (outputs * area) != 0) {
    // A grouped deconvolution counts the outputs of a group.
    if (op.type != kDeconvolution || common.number(geometry::inputs) == 0 ||
        count % (common.number(geometry::inputs) * area) != 0)
      return "its weights are not as many as its channels say";
  } else if (op.type != kDeconvolution && op.type != kDilation2D &&
             !inputs_match(op, common, count / (outputs * area))) {
    return "its weights are not as many as its channels say";
  }
  if (quan)
    if (Fault fault = check_quantised(quan, count, outputs, outside)) return fault;
  const bool integers = op.type == kConvInt8 || op.type == kDepthwiseConvInt8;
  const bool coded = quan && (outside || (quan.has(quantised::buffer) && quan.number(quantised::type) != 3)) &&
                     !quan.has(quantised::index);
  if (integers && !coded && !(symmetric_quan && symmetric_quan.has(symmetric::weight)))
    return "it has no weights in whole numbers";
  if (symmetric_quan && symmetric_quan.has(symmetric::bias) && symmetric_quan.has(symmetric::scale)) {
    if (symmetric_quan.values<int32_t>(symmetric::bias).size() < static_cast<uint32_t>(outputs) ||
        symmetric_quan.values<float>(symmetric::scale).size() < static_cast<uint32_t>(outputs))
      return "its scales are not as many as its outputs";
  } else if (!outside && op.type != kDilation2D) {
    if (!op.record.has(convolution::bias)) return "it has no bias";
    if (bias.size() != static_cast<uint32_t>(outputs)) return "its bias is not as long as its outputs";
  }
  if (common.number(geometry::outputs) % common.number(geometry::group, 1) != 0 && op.type != kDeconvolution)
    return "its outputs do not divide into its groups";
  return nullptr;
}

}  // namespace mnnlite
