// Shapes of operators that join, split, turn or reduce axes, and of those that keep them.
#include "engine/verify_shape.hpp"

#include <algorithm>

namespace mnnlite {

Fault broadcast(const Operator& op, const Tensors& in, Shape& made) {
  uint32_t widest = 0;
  for (uint32_t i = 0; i < op.inputs.size(); ++i) {
    if (!in(op, i).known) return nullptr;
    if (in(op, i).rank() > in(op, widest).rank()) widest = i;
  }
  made = in(op, widest);
  made.constant = false;
  for (uint32_t i = 0; i < op.inputs.size(); ++i) {
    const Shape& other = in(op, i);
    for (int axis = 1; axis <= other.rank(); ++axis) {
      int32_t& here = made.dims[static_cast<size_t>(made.rank() - axis)];
      const int32_t there = other.dims[static_cast<size_t>(other.rank() - axis)];
      if (here != there && here != 1 && there != 1) return "the shapes of its inputs do not fit";
      here = here == 1 ? there : here;
    }
  }
  return nullptr;
}

Fault concat(const Operator& op, const Tensors& in, Shape& made) {
  made = in(op, 0);
  made.constant = false;
  int32_t axis = op.record.number(0);
  if (!made.known) return made = Shape(), nullptr;
  if (!normalize_axis(axis, made.rank())) return "its axis is not one of its inputs'";
  for (uint32_t i = 1; i < op.inputs.size(); ++i) {
    const Shape& other = in(op, i);
    if (!other.known) return made = Shape(), nullptr;
    if (other.rank() != made.rank()) return "its inputs have different numbers of axes";
    for (int each = 0; each < made.rank(); ++each)
      if (each != axis && other.dims[static_cast<size_t>(each)] != made.dims[static_cast<size_t>(each)])
        return "the shapes of its inputs do not fit";
    const int64_t sum = int64_t{made.dims[static_cast<size_t>(axis)]} + other.dims[static_cast<size_t>(axis)];
    if (sum > INT32_MAX) return "its output is larger than the engine can count";
    made.dims[static_cast<size_t>(axis)] = static_cast<int32_t>(sum);
  }
  return nullptr;
}

Fault reshape(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  Values<int32_t> wanted = op.record.values<int32_t>(0);
  bool zero_copies = true;
  if (op.inputs.size() == 2) {
    const Shape& second = in(op, 1);
    if (!second.constant) return nullptr;
    wanted = second.numbers();
    zero_copies = second.layout != kNhwc;
    if (from.known && from.layout == kNc4hw4) return wanted.size() > kMostAxes ? "its shape is not possible" : nullptr;
  }
  if (wanted.size() > kMostAxes) return "its shape is not possible";
  if (!from.known) return nullptr;
  made.layout = from.layout;
  int64_t product = 1;
  int open = -1;
  for (uint32_t axis = 0; axis < wanted.size(); ++axis) {
    int32_t extent = wanted[axis];
    if (extent < -1) return "its shape is not possible";
    if (extent == 0 && zero_copies) {
      if (static_cast<int>(axis) >= from.rank()) return "its shape is not possible";
      extent = from.dims[axis];
    }
    if (extent == -1) open = static_cast<int>(axis), extent = 1;
    made.dims.push_back(extent);
    product = std::min(product * extent, kMostTensor + 1);
  }
  if (open >= 0)
    made.dims[static_cast<size_t>(open)] = static_cast<int32_t>(product > 0 ? from.elements() / product : 0);
  made.known = true;
  return made.elements() == from.elements() ? nullptr : "its output has another number of elements than its input";
}

Fault permute(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  Values<int32_t> order = op.record.values<int32_t>(0);
  if (op.type == kTranspose) {
    if (!in(op, 1).constant) return nullptr;
    order = in(op, 1).numbers();
  }
  if (!from.known) return nullptr;
  if (op.type == kPermute && !op.record.has(0)) return nullptr;
  if (static_cast<int>(order.size()) != from.rank()) return "it has not as many axes as its input";
  made = from;
  made.constant = false;
  for (uint32_t axis = 0; axis < order.size(); ++axis) {
    if (order[axis] < 0 || order[axis] >= from.rank()) return "it names an axis that is not there";
    made.dims[axis] = from.dims[static_cast<size_t>(order[axis])];
  }
  return nullptr;
}

Fault convert(const Operator& op, const Tensors& in, Shape& made) {
  made = in(op, 0);
  if (!made.known) return nullptr;
  made.constant = false;
  const uint8_t to = op.record.scalar<uint8_t>(1, 0);
  const bool from_nhwc = made.layout == kNhwc, to_nhwc = to == kNhwc;
  const int rank = made.rank();
  if (rank > 2 && from_nhwc && !to_nhwc) std::rotate(made.dims.begin() + 1, made.dims.end() - 1, made.dims.end());
  if (rank > 2 && !from_nhwc && to_nhwc) std::rotate(made.dims.begin() + 1, made.dims.begin() + 2, made.dims.end());
  made.layout = to;
  return rank < 1 ? "it converts the layout of a single number" : nullptr;
}

Fault reduce(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  Values<int32_t> axes = op.record.values<int32_t>(1);
  const bool given = op.record.has(1), keep = op.record.scalar<uint8_t>(3, 0) != 0;
  if (!given && op.inputs.size() == 2) {
    if (!in(op, 1).constant) return nullptr;
    axes = in(op, 1).numbers();
  }
  if (!from.known) return nullptr;
  uint32_t mask = !given && op.inputs.size() == 1 ? ~0u : 0;
  for (uint32_t i = 0; i < axes.size(); ++i) {
    int32_t axis = axes[i];
    if (!normalize_axis(axis, from.rank())) return "it reduces an axis that is not there";
    mask |= 1u << axis;
  }
  made.layout = from.layout;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (!(mask >> axis & 1))
      made.dims.push_back(from.dims[static_cast<size_t>(axis)]);
    else if (keep)
      made.dims.push_back(1);
  }
  made.known = true;
  return nullptr;
}

Fault multiply(const Operator& op, const Tensors& in, Shape& made) {
  const Shape &a = in(op, 0), &b = in(op, 1);
  if (!a.known || !b.known) return nullptr;
  if (a.rank() < 1 || b.rank() < 1) return "it multiplies a single number";
  if (a.rank() < 2 || b.rank() < 2) return nullptr;
  const bool batched = op.attribute == T::batch_mat_mul_param;
  const bool turn_a = op.record.scalar<uint8_t>(batched ? 0 : 1, 0) != 0,
             turn_b = op.record.scalar<uint8_t>(batched ? 1 : 2, 0) != 0;
  const auto last = [](const Shape& shape, int back) { return shape.dims[static_cast<size_t>(shape.rank() - back)]; };
  const int32_t rows = last(a, turn_a ? 1 : 2), inner_a = last(a, turn_a ? 2 : 1), inner_b = last(b, turn_b ? 1 : 2),
                columns = last(b, turn_b ? 2 : 1);
  if (inner_a != inner_b) return "the shapes of its inputs do not fit";
  made = a.rank() >= b.rank() ? a : b;
  made.layout = a.layout;
  made.constant = false;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  for (int back = 3; back <= other.rank(); ++back) {
    int32_t& here = made.dims[static_cast<size_t>(made.rank() - back)];
    if (here != last(other, back) && here != 1 && last(other, back) != 1) return "the shapes of its inputs do not fit";
    here = here == 1 ? last(other, back) : here;
  }
  made.dims[static_cast<size_t>(made.rank() - 2)] = rows;
  made.dims[static_cast<size_t>(made.rank() - 1)] = columns;
  return nullptr;
}

Fault squeeze(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  Values<int32_t> axes = op.record.values<int32_t>(0);
  if (op.inputs.size() == 2) {
    if (!in(op, 1).constant) return nullptr;
    axes = in(op, 1).numbers();
  }
  if (!from.known) return nullptr;
  const bool adds = op.type == kUnsqueeze;
  const int rank = from.rank() + (adds ? static_cast<int>(axes.size()) : 0);
  if (rank > static_cast<int>(kMostAxes)) return "its output has more axes than the engine allows";
  uint32_t mask = 0;
  for (uint32_t i = 0; i < axes.size(); ++i) {
    int32_t axis = axes[i];
    if (!normalize_axis(axis, rank)) return "it names an axis that is not there";
    mask |= 1u << axis;
  }
  if (!adds && axes.size() == 0)
    for (int axis = 0; axis < rank; ++axis) mask |= from.dims[static_cast<size_t>(axis)] == 1 ? 1u << axis : 0;
  made.layout = from.layout;
  size_t next = 0;
  for (int axis = 0; axis < rank; ++axis) {
    const bool named = mask >> axis & 1;
    if (adds) {
      if (!named && next >= from.dims.size()) return "it names an axis twice";
      made.dims.push_back(named ? 1 : from.dims[next++]);
    } else if (!named) {
      made.dims.push_back(from.dims[static_cast<size_t>(axis)]);
    } else if (from.dims[static_cast<size_t>(axis)] != 1) {
      return "it takes an axis away that has more than one element";
    }
  }
  made.known = true;
  return nullptr;
}

Fault slice(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  if (!from.known) return nullptr;
  int32_t axis = op.record.number(0);
  if (!normalize_axis(axis, from.rank())) return "its axis is not one of its input's";
  Values<int32_t> points = op.record.values<int32_t>(1);
  const uint8_t source = op.record.scalar<uint8_t>(2, 0);
  const int32_t whole = from.dims[static_cast<size_t>(axis)];
  if (op.inputs.size() == 2) {
    if (!in(op, 1).constant) return nullptr;
    points = in(op, 1).numbers();
    if (source != 0 && points.size() != op.outputs.size()) return "it has not one output for each part";
  }
  int64_t sum = 0;
  if (source == 0) {
    for (uint32_t i = 0; i < points.size(); ++i) {
      if (points[i] < sum) return "its parts are not in order";
      sum = points[i];
    }
    return sum <= whole ? nullptr : "its parts are more than there is";
  }
  if (op.inputs.size() == 1 && points.size() <= 1) {
    const int32_t parts = static_cast<int32_t>(op.outputs.size());
    const int32_t each = source == 4 && points.size() == 1 ? points[0] : 0;
    if (each == 0 && whole % parts != 0 && source == 1) return "its input does not divide into its outputs";
    return int64_t{each} * (parts - 1) > whole ? "its parts are more than there is" : nullptr;
  }
  for (uint32_t i = 0; i < points.size(); ++i) {
    if (points[i] < -1) return "its parts are not possible";
    sum += std::max(points[i], 0);
  }
  if (sum > whole) return "its parts are more than there is";
  if (points.size() > 0 && points[0] >= 0) {
    made = from;
    made.constant = false;
    made.dims[static_cast<size_t>(axis)] = points[0];
  }
  return nullptr;
}

Fault strided_slice(const Operator& op, const Tensors& in, Shape& made) {
  enum { index, type, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_mask, from_type };
  const bool is_onnx = op.record.number(from_type) != 0;
  const Shape &from = in(op, 0), &begin = in(op, 1);
  for (uint32_t i = 1; i < std::min(op.inputs.size(), is_onnx ? 5u : 4u); ++i) {  // one number an axis each
    const Shape& each = in(op, i);
    if (begin.known && each.known &&
        (each.rank() != 1 || each.dims[0] != begin.dims[0] || each.dims[0] > static_cast<int32_t>(kMostAxes)))
      return "what says its begin, end or steps has not one number for each axis";
  }
  if (is_onnx || op.inputs.size() != 4 || !from.known) return nullptr;
  for (int slot : {begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_mask})
    if (op.record.number(slot) != 0) return nullptr;
  for (uint32_t i = 1; i < 4; ++i)
    if (!in(op, i).constant || static_cast<int>(in(op, i).values.size()) > from.rank()) return nullptr;
  made = from;
  for (size_t axis = 0; axis < begin.values.size(); ++axis) {
    const int64_t size = from.dims[axis], step = in(op, 3).values[axis];
    int64_t first = begin.values[axis], last = in(op, 2).values[axis];
    if (first < 0) first += size;
    if (last < 0) last += size;
    last = std::min(last, size);
    // Empty ones, and those that go back, are left to the engine.
    if (step < 1 || first < 0 || first >= last) return made = Shape(), nullptr;
    made.dims[axis] = static_cast<int32_t>((last - first - 1) / step + 1);
  }
  return nullptr;
}

// Along the last axis of its indices is an index into the output, one number for each of the output's first axes.
Fault scatter(const Operator& op, const Tensors& in, Shape& made) {
  const Shape &indices = in(op, 0), &shape = in(op, 2);
  if (indices.known && indices.rank() < 1) return "its indices have no axis";
  if (shape.known && (shape.rank() != 1 || shape.dims[0] > static_cast<int32_t>(kMostAxes)))
    return "what says its shape is not possible";
  if (indices.known && shape.known && indices.dims.back() > shape.dims[0])
    return "its indices have more numbers than its output has axes";
  if (!shape.constant) return nullptr;
  for (const int32_t extent : shape.values)
    if (extent < 0 || (extent == 0 && indices.known && indices.elements() > 0))
      return "what says its shape is not possible";
  made.dims = shape.values;
  made.known = true;
  return nullptr;
}

Fault alike(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  if (!from.known) return nullptr;
  made = from;
  made.constant = false;
  switch (op.attribute) {
    case T::scale:
      if (!op.record.has(3) && static_cast<int64_t>(op.record.values<float>(1).size()) < from.channels())
        return "it has fewer scales than channels";
      break;
    case T::prelu:
      if (op.record.number(0) != 1 && op.record.number(0) < from.channels()) return "it has fewer slopes than channels";
      break;
    case T::axis: {
      int32_t axis = op.record.number(0);
      if (!normalize_axis(axis, from.rank())) return "its axis is not one of its input's";
      break;
    }
    case T::layer_norm: {
      const auto axes = op.record.values<int32_t>(0);
      if (static_cast<int>(axes.size()) > from.rank()) return "it normalises axes that are not there";
      int64_t each = 1;
      for (uint32_t i = 0; i < axes.size(); ++i) each *= from.dims[static_cast<size_t>(from.rank()) - 1 - i];
      const int64_t scales = op.record.values<float>(2).size();
      if (scales > 0 && op.record.number(4, 1) == 1 && scales != each)
        return "it has not as many scales as it normalises";
      break;
    }
    case T::eltwise:
    case T::eltwise_int8:
      for (uint32_t i = 1; i < op.inputs.size(); ++i)
        if (in(op, i).known && in(op, i).dims != from.dims) return "the shapes of its inputs do not fit";
      break;
    default: break;
  }
  return nullptr;
}

}  // namespace mnnlite
