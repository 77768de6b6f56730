#include "engine/verify_reader.hpp"

namespace mnnlite {
namespace {

// The engine's own limits, so that what passes here passes there.
constexpr int kMostDepth = 64;
constexpr uint32_t kMostTables = 1000000;

class Walker {
 public:
  Walker(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  // Positions count from the start of the file.
  bool table(size_t at, T type, int depth) {
    if (depth > kMostDepth || ++tables_ > kMostTables || !fits(at, 4, 4)) return false;
    int32_t back;
    std::memcpy(&back, data_ + at, sizeof back);
    const int64_t start = static_cast<int64_t>(at) - back;
    if (start < 0 || static_cast<uint64_t>(start) > size_) return false;
    const size_t directory = static_cast<size_t>(start);
    if (!fits(directory, 4, 2)) return false;
    const size_t length = read16(directory);
    if (length < 4 || length % 2 != 0 || !fits(directory, length, 2)) return false;
    uint8_t attribute_type = 0;
    const TableFacts& facts = facts_of(type);
    for (size_t slot = 0; slot < kMostFields && facts.fields[slot].kind != FieldKind::none; ++slot) {
      if (4 + slot * 2 + 2 > length) break;  // an older file: the rest is not there
      const size_t offset = read16(directory + 4 + slot * 2);
      if (offset != 0 && !field(at + offset, facts.fields[slot], attribute_type, depth)) return false;
    }
    return true;
  }

 private:
  bool fits(size_t at, size_t length, size_t alignment) const {
    return at % alignment == 0 && at <= size_ && length <= size_ - at;
  }
  size_t read16(size_t at) const {
    uint16_t value;
    std::memcpy(&value, data_ + at, sizeof value);
    return value;
  }
  size_t read32(size_t at) const {
    uint32_t value;
    std::memcpy(&value, data_ + at, sizeof value);
    return value;
  }

  // What an offset at `at` leads to: at least 4 bytes of it lie inside.
  bool follow(size_t at, size_t& target) const {
    if (!fits(at, 4, 4)) return false;
    const size_t offset = read32(at);
    if (offset == 0 || offset > INT32_MAX) return false;
    target = at + offset;
    return fits(target, 4, 1);
  }
  // A vector or string behind an offset: its elements lie inside.
  bool vector(size_t at, size_t element, size_t& first, size_t& count) const {
    size_t target = 0;
    if (!follow(at, target) || target % 4 != 0) return false;
    count = read32(target);
    first = target + 4;
    return count <= INT32_MAX / element && fits(first, count * element, 1);
  }
  bool text(size_t at) const {
    size_t first = 0, count = 0;
    return vector(at, 1, first, count) && fits(first + count, 1, 1) && data_[first + count] == 0;
  }

  bool field(size_t at, const Field& field, uint8_t& attribute_type, int depth) {
    size_t target = 0, count = 0;
    switch (field.kind) {
      case FieldKind::none: return true;
      case FieldKind::byte: return fits(at, 1, 1);
      case FieldKind::word: return fits(at, 4, 4);
      case FieldKind::bytes: return vector(at, 1, target, count);
      case FieldKind::shorts: return vector(at, 2, target, count);
      case FieldKind::words: return vector(at, 4, target, count);
      case FieldKind::longs: return vector(at, 8, target, count);
      case FieldKind::text: return text(at);
      case FieldKind::texts:
        if (!vector(at, 4, target, count)) return false;
        for (size_t i = 0; i < count; ++i)
          if (!text(target + 4 * i)) return false;
        return true;
      case FieldKind::table: return follow(at, target) && table(target, field.table, depth + 1);
      case FieldKind::tables:
        if (!vector(at, 4, target, count)) return false;
        for (size_t i = 0; i < count; ++i) {
          size_t each = 0;
          if (!follow(target + 4 * i, each) || !table(each, field.table, depth + 1)) return false;
        }
        return true;
      case FieldKind::attribute_type:
        if (!fits(at, 1, 1)) return false;
        attribute_type = data_[at];
        return true;
      case FieldKind::attribute:
        // Of a newer format's attributes nothing is known: the engine does not read those either.
        if (!follow(at, target)) return false;
        return attribute_type == 0 || attribute_type > kAttributes ||
               table(target, static_cast<T>(attribute_type - 1), depth + 1);
    }
    return false;
  }

  const uint8_t* data_;
  size_t size_;
  uint32_t tables_ = 0;
};

}  // namespace

Status walk_model(const uint8_t* data, size_t size, Record& root) noexcept {
  const auto refused = [&] {
    return Status::error(Code::model_format,
                         "not an MNN model, or a damaged one (%zu bytes): something it refers to lies outside of it",
                         size);
  };
  if (size < 8) return refused();
  uint32_t offset;
  std::memcpy(&offset, data, sizeof offset);
  if (offset == 0 || offset > INT32_MAX || offset >= size || !Walker(data, size).table(offset, T::net, 0))
    return refused();
  root = Record(data + offset);
  return {};
}

}  // namespace mnnlite
