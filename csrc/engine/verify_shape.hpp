// Shapes of tensors as verify_shapes() follows them through a network, and what each operator makes of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/verify_operator.hpp"

namespace mnnlite {

constexpr int64_t kMostTensor = (int64_t{1} << 29) - 1;  // elements of 4 bytes each, counted in 31 bits
enum Layout : uint8_t { kNchw, kNhwc, kNc4hw4 };

struct Shape {
  bool known = false;
  uint8_t layout = kNchw;
  std::vector<int32_t> dims;
  std::vector<int32_t> values;  // of whole numbers, where they are few and known
  bool constant = false;        // they are
  int32_t type = 0;  // of its elements, where an input, a constant or a cast says so; 0: not followed further

  Values<int32_t> numbers() const {
    return {reinterpret_cast<const uint8_t*>(values.data()), static_cast<uint32_t>(values.size())};
  }
  int rank() const { return static_cast<int>(dims.size()); }
  size_t axis_of(int plain) const {  // 0 batch, 1 channels, 2 height, 3 width of four axes
    constexpr size_t nhwc[4] = {0, 3, 1, 2};
    return layout == kNhwc ? nhwc[plain] : static_cast<size_t>(plain);
  }
  int32_t channels() const { return rank() < 2 ? 1 : layout == kNhwc ? dims.back() : dims[1]; }
  int64_t elements() const {
    int64_t product = 1;
    for (const int32_t extent : dims) product = std::min(product * extent, kMostTensor + 1);
    return product;
  }
};

// All tensors of a network, by number.
struct Tensors {
  std::vector<Shape> all;
  const Shape& operator()(const Operator& op, uint32_t input) const {
    return all[static_cast<size_t>(op.inputs[input])];
  }
};

inline bool normalize_axis(int32_t& axis, int rank) {  // counts from the end where negative
  if (axis < 0) axis += rank;
  return axis >= 0 && axis < rank;
}

// Null and the shape of the first output, which stays unknown where it cannot be told; or what is wrong.
Fault convolution(const Operator& op, const Tensors& in, Shape& made);
Fault pooling(const Operator& op, const Tensors& in, Shape& made);
Fault interpolate(const Operator& op, const Tensors& in, Shape& made);
Fault pad(const Operator& op, const Tensors& in, Shape& made);
Fault broadcast(const Operator& op, const Tensors& in, Shape& made);
Fault concat(const Operator& op, const Tensors& in, Shape& made);
Fault reshape(const Operator& op, const Tensors& in, Shape& made);
Fault permute(const Operator& op, const Tensors& in, Shape& made);
Fault convert(const Operator& op, const Tensors& in, Shape& made);
Fault reduce(const Operator& op, const Tensors& in, Shape& made);
Fault multiply(const Operator& op, const Tensors& in, Shape& made);
Fault squeeze(const Operator& op, const Tensors& in, Shape& made);
Fault slice(const Operator& op, const Tensors& in, Shape& made);
Fault alike(const Operator& op, const Tensors& in, Shape& made);
Fault strided_slice(const Operator& op, const Tensors& in, Shape& made);
Fault scatter(const Operator& op, const Tensors& in, Shape& made);

// Whether whole numbers are divided by a zero.
Fault division(const Operator& op, const Tensors& in);

// The values of a first output whose shape is known.
void follow_values(const Operator& op, const Tensors& in, Shape& made);

}  // namespace mnnlite
