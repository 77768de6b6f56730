#include "engine/tensors.hpp"

namespace mnnlite {
namespace {

bool dtype_of_engine(const halide_type_t& type, DType& dtype) {
  if (type.lanes > 1) return false;
  if (type.code == halide_type_float && type.bits == 32) return dtype = DType::f32, true;
  if (type.code == halide_type_float && type.bits == 16) return dtype = DType::f16, true;
  if (type.code == halide_type_int && type.bits == 32) return dtype = DType::i32, true;
  if (type.code == halide_type_int && type.bits == 8) return dtype = DType::i8, true;
  if (type.code == halide_type_uint && type.bits == 8) return dtype = DType::u8, true;
  return false;
}

}  // namespace

bool is_packed(MNN::Tensor& tensor) {
  halide_buffer_t& buffer = tensor.buffer();
  if (buffer.dimensions < 2 || tensor.getDimensionType() == MNN::Tensor::TENSORFLOW) return false;
  const int32_t channels = buffer.dim[1].extent;
  buffer.dim[1].extent = 1;
  const int64_t size = tensor.size();
  buffer.dim[1].extent = channels;
  int64_t plain = buffer.type.bytes();
  for (int axis = 0; axis < buffer.dimensions; ++axis)
    if (axis != 1) plain *= buffer.dim[axis].extent;
  return size != plain;
}

Status describe_tensor(const MNN::Tensor& tensor, const char* name, TensorView& view) {
  const halide_buffer_t& buffer = tensor.buffer();
  view = TensorView{};
  view.name = name;
  DType dtype;
  if (!dtype_of_engine(buffer.type, dtype))
    return Status::error(Code::unsupported_model,
                         "tensor \"%s\" has a type of code %d with %d bits; only float32, float16, int32, "
                         "uint8 and int8 are read",
                         name, static_cast<int>(buffer.type.code), buffer.type.bits);
  if (buffer.dimensions > MNNLITE_MAX_RANK)
    return Status::error(Code::unsupported_model, "tensor \"%s\" has rank %d; at most %d is read", name,
                         buffer.dimensions, MNNLITE_MAX_RANK);
  view.dtype = static_cast<int32_t>(dtype);
  view.rank = buffer.dimensions;
  for (int axis = 0; axis < buffer.dimensions; ++axis) view.dims[axis] = buffer.dim[axis].extent;
  view.layout = MNNLITE_PLAIN;
  if (view.rank == 4) view.layout = tensor.getDimensionType() == MNN::Tensor::TENSORFLOW ? MNNLITE_NHWC : MNNLITE_NCHW;
  return {};
}

}  // namespace mnnlite
