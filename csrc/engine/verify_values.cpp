// Whole numbers that networks compute from shapes, as long as they are few: what is sliced, gathered and reshaped by them
// is known then, and what would divide by zero is seen before the engine does.
#include "engine/verify_shape.hpp"

#include <algorithm>

namespace mnnlite {
namespace {

constexpr int64_t kMostValues = 64;

// Numbers of the format's kinds of BinaryOp.
enum Binary : int32_t {
  kAdd = 0,
  kSub = 1,
  kMul = 2,
  kDiv = 3,
  kRealDiv = 7,
  kMinimum = 8,
  kMaximum = 9,
  kGreater = 10,
  kGreaterEqual = 11,
  kLess = 12,
  kFloorDiv = 13,
  kEqual = 15,
  kLessEqual = 16,
  kFloorMod = 17,
  kMod = 19,
  kNotEqual = 22,
};

bool divides(int32_t kind) {
  return kind == kDiv || kind == kRealDiv || kind == kFloorDiv || kind == kFloorMod || kind == kMod;
}

// False where the result is not followed.
bool apply(int32_t kind, int64_t a, int64_t b, int64_t& out) {
  switch (kind) {
    case kAdd: out = a + b; return true;
    case kSub: out = a - b; return true;
    case kMul: out = a * b; return true;
    case kMinimum: out = std::min(a, b); return true;
    case kMaximum: out = std::max(a, b); return true;
    case kGreater: out = a > b; return true;
    case kGreaterEqual: out = a >= b; return true;
    case kLess: out = a < b; return true;
    case kLessEqual: out = a <= b; return true;
    case kEqual: out = a == b; return true;
    case kNotEqual: out = a != b; return true;
    default:  // Engines round quotients of negative numbers differently; sizes are none.
      if (!divides(kind) || a < 0 || b <= 0) return false;
      out = kind == kFloorMod || kind == kMod ? a % b : a / b;
      return true;
  }
}

bool set(Shape& made, size_t index, int64_t value) {
  if (value < INT32_MIN || value > INT32_MAX) return false;
  made.values[index] = static_cast<int32_t>(value);
  return true;
}

// Element `index` of a shape's values as they are broadcast to it: a single one, or one for each.
int64_t spread(const Shape& from, size_t index) { return from.values[from.values.size() == 1 ? 0 : index]; }

bool fits(const Shape& from, const Shape& made) {
  return from.constant && (from.values.size() == 1 || from.dims == made.dims);
}

bool select(const Operator& op, const Tensors& in, Shape& made) {
  for (uint32_t i = 0; i < 3; ++i)
    if (op.inputs.size() != 3 || !fits(in(op, i), made)) return false;
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] = static_cast<int32_t>(spread(in(op, spread(in(op, 0), i) != 0 ? 1 : 2), i));
  return true;
}

bool binary(const Operator& op, const Tensors& in, Shape& made) {
  if (op.inputs.size() != 2 || !fits(in(op, 0), made) || !fits(in(op, 1), made)) return false;
  if (op.record.number(2) != 0) return false;  // an activation
  for (size_t i = 0; i < made.values.size(); ++i) {
    int64_t value = 0;
    if (!apply(op.record.number(0), spread(in(op, 0), i), spread(in(op, 1), i), value) || !set(made, i, value))
      return false;
  }
  return true;
}

bool join(const Operator& op, const Tensors& in, Shape& made) {
  if (made.rank() != 1) return false;
  size_t at = 0;
  for (uint32_t i = 0; i < op.inputs.size(); ++i) {
    const Shape& each = in(op, i);
    if (!each.constant || at + each.values.size() > made.values.size()) return false;
    std::copy(each.values.begin(), each.values.end(), made.values.begin() + static_cast<std::ptrdiff_t>(at));
    at += each.values.size();
  }
  return at == made.values.size();
}

bool copy(const Shape& from, Shape& made) {
  if (!from.constant || from.values.size() != made.values.size()) return false;
  made.values = from.values;
  return true;
}

// One number for each index, zero for others.
bool place_values(const Operator& op, const Tensors& in, Shape& made) {
  const Shape &indices = in(op, 0), &updates = in(op, 1);
  if (op.inputs.size() != 3 || made.rank() != 1 || !indices.constant || !updates.constant || indices.rank() < 1 ||
      indices.dims.back() != 1 || indices.values.size() != updates.values.size())
    return false;
  for (size_t i = 0; i < indices.values.size(); ++i) {
    const int32_t index = indices.values[i];
    if (index < 0 || index >= made.dims[0]) return false;
    made.values[static_cast<size_t>(index)] = updates.values[i];
  }
  return true;
}

bool compute(const Operator& op, const Tensors& in, Shape& made) {
  const Shape& from = in(op, 0);
  switch (op.type) {
    case kRank: made.values[0] = from.rank(); return true;
    case kSize: return set(made, 0, from.elements());
    case kShape:
      if (from.layout == kNc4hw4) return false;  // in the order of the operator's own layout
      made.values = from.dims;
      return made.values.size() == static_cast<size_t>(made.dims[0]);
    case kSqueeze:
    case kUnsqueeze:
    case kReshape:
    case kIdentity: return copy(from, made);
    case kCast: return op.record.number(1, kFloat) == kInt32 && copy(from, made);
    case kBinaryOp: return binary(op, in, made);
    case kSelect: return select(op, in, made);
    case kConcat: return join(op, in, made);
    case kScatterNd: return place_values(op, in, made);
    case kFill:
      if (!in(op, 1).constant || in(op, 1).values.size() != 1) return false;
      std::fill(made.values.begin(), made.values.end(), in(op, 1).values[0]);
      return true;
    default: return false;
  }
}

}  // namespace

void follow_values(const Operator& op, const Tensors& in, Shape& made) {
  made.constant = false;
  made.values.clear();
  if (!made.known || made.elements() > kMostValues || op.inputs.size() == 0 || !in(op, 0).known) return;
  made.values.assign(static_cast<size_t>(made.elements()), 0);
  made.constant = compute(op, in, made);
}

Fault division(const Operator& op, const Tensors& in) {
  if (op.inputs.size() != 2 || !divides(op.record.number(0)) || !in(op, 1).constant) return nullptr;
  const auto& by = in(op, 1).values;
  return std::find(by.begin(), by.end(), 0) == by.end() ? nullptr : "it divides whole numbers by zero";
}

}  // namespace mnnlite
