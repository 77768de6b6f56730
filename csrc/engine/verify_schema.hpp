// What a model file is made of: tables of fields in numbered slots, in the order in which MNN's file format (3.0 to 3.6)
// numbers them, and what each operator needs. Facts as data; what is done with them is in verify_*.cpp.
#pragma once

#include <cstdint>

namespace mnnlite {

// Tables. The first ones are the attributes of operators, in the order of their numbers in files, which count from 1.
enum class T : uint8_t {
  quantized_add,
  arg_max,
  as_string,
  axis,
  batch_norm,
  binary_op,
  blob,
  cast_param,
  convolution_2d,
  crop,
  crop_and_resize,
  dequantize,
  detection_output,
  eltwise,
  expand_dims,
  fill,
  flatten,
  gather,
  gather_v2,
  inner_product,
  input,
  interp,
  lrn,
  lstm,
  mat_mul,
  non_max_suppression_v2,
  normalize,
  pack_param,
  permute,
  plugin,
  pool,
  prelu,
  prior_box,
  proposal,
  quantized_avg_pool,
  quantized_bias_add,
  quantized_concat,
  quantized_logistic,
  quantized_mat_mul,
  quantized_max_pool,
  quantized_relu,
  quantized_relu6,
  quantized_reshape,
  quantized_softmax,
  quantize_max_min,
  quantize_v2,
  range,
  rank,
  reduce_join,
  reduction_param,
  relu,
  relu6,
  requantization_range,
  requantize,
  reshape,
  resize,
  roi_parameters,
  scale,
  selu,
  size,
  slice,
  slice_tf,
  space_batch,
  squeeze_param,
  strided_slice_param,
  tensor_convert_info,
  tf_quantized_conv_2d,
  top_k_v2,
  transpose,
  unary_op,
  moments_param,
  rnn_param,
  batch_mat_mul_param,
  quantized_float_param,
  depth_space_param,
  eltwise_int8,
  reverse_sequence_param,
  extra,
  pool_3d,
  convolution_3d,
  elu,
  detection_post_process_param,
  one_hot_param,
  pad_param,
  while_param,
  if_param,
  random_uniform,
  layer_norm,
  tensor_array,
  lstm_block_cell,
  grid_sample,
  loop_param,
  image_process_param,
  cum_sum,
  group_norm,
  fmha_v2_param,
  fmhca_param,
  attention_param,
  stft_param,
  linear_attention_param,
  shape_param,
  rope_param,
  list_value,
  attribute,
  named_attr_list,
  convolution_2d_common,
  convolution_3d_common,
  sparse_common,
  idst_quan,
  quantized_param,
  extra_info,
  string_vec,
  region_command,
  op,
  view,
  region,
  tensor_describe,
  sub_graph_proto,
  tensor_quant_info,
  net,
  count
};
constexpr uint8_t kAttributes = static_cast<uint8_t>(T::list_value);  // tables before this one are attributes

enum class FieldKind : uint8_t {
  none,  // after the last one
  byte,
  word,  // scalars of 1 and 4 bytes
  bytes,
  shorts,
  words,
  longs,  // vectors of scalars of 1, 2, 4 and 8 bytes
  text,
  texts,  // one string, a vector of them
  table,
  tables,  // one table, a vector of them
  attribute_type,
  attribute  // which attribute an operator has, and the table that this says
};

struct Field {
  FieldKind kind;
  T table;
};

constexpr int kMostFields = 18;

struct TableFacts {
  const char* name;
  Field fields[kMostFields];
};

const TableFacts& facts_of(T table) noexcept;

// Stands for every attribute: the engine does not look at it.
constexpr T kAnyAttribute = T::net;

// How often an operator's inputs and outputs may occur, and which attributes it can do with. `most` below 0: any number.
struct OperatorFacts {
  int32_t type;
  const char* name;
  int8_t least_inputs, most_inputs, least_outputs, most_outputs;
  bool attribute_needed;
  T attributes[2];  // T::count: none
};

// Null for operators of which nothing is known.
const OperatorFacts* operator_facts(int32_t type) noexcept;

// The name of an operator, or "operator type 1234".
const char* operator_name(int32_t type, char (&text)[32]) noexcept;

// Numbers of operators that are treated apart.
enum OperatorType : int32_t {
  kArgMax = 2,
  kBatchToSpaceNd = 5,
  kBinaryOp = 7,
  kCast = 9,
  kConcat = 10,
  kConst = 11,
  kConvolution = 12,
  kConvolutionDepthwise = 13,
  kDeconvolution = 17,
  kDeconvolutionDepthwise = 18,
  kEltwise = 22,
  kElu = 23,
  kUnique = 24,
  kExpandDims = 26,
  kFill = 27,
  kIm2Col = 29,
  kInnerProduct = 33,
  kInput = 34,
  kInterp = 35,
  kMatMul = 39,
  kNonMaxSuppression = 41,
  kNonMaxSuppressionV2 = 42,
  kPadding = 45,
  kPermute = 46,
  kPooling = 47,
  kPReLU = 49,
  kQuantizedReshape = 61,
  kRank = 66,
  kReduction = 68,
  kReLU = 69,
  kReLU6 = 70,
  kReshape = 73,
  kScale = 77,
  kSelu = 78,
  kShape = 80,
  kSigmoid = 81,
  kSize = 82,
  kSlice = 83,
  kSliceTf = 84,
  kSoftmax = 85,
  kSpaceToBatchNd = 86,
  kCol2Im = 88,
  kSqueeze = 90,
  kStridedSlice = 91,
  kTanH = 95,
  kTopKV2 = 99,
  kTranspose = 100,
  kUnaryOp = 101,
  kWhere = 103,
  kBatchMatMul = 106,
  kUnsqueeze = 107,
  kDepthToSpace = 109,
  kSpaceToDepth = 110,
  kPooling3D = 112,
  kScatterNd = 118,
  kDilation2D = 121,
  kRaster = 128,
  kConvertTensor = 129,
  kArgMin = 130,
  kCumProd = 150,
  kScatterElements = 151,
  kGatherElements = 152,
  kSelect = 257,
  kSetDiff1D = 260,
  kIdentity = 262,
  kConv2DBackPropFilter = 265,
  kTrainableParam = 266,
  kFmhaV2 = 300,
  kSplitGelu = 303,
  kConvInt8 = 513,
  kInt8ToFloat = 514,
  kDepthwiseConvInt8 = 515,
  kFloatToInt8 = 517,
  kEltwiseInt8 = 518,
  kLayerNorm = 603,
  kLastKnown = 604,
};

// Numbers of element types in files.
enum ElementType : int32_t {
  kFloat = 1,
  kInt32 = 3,
  kUint8 = 4,
  kInt8 = 6,
  kInt64 = 9,
  kQuint8 = 12,
  kBfloat16 = 14,
  kHalf = 19,
};

}  // namespace mnnlite
