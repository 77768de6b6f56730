// Reading a model file's bytes: first all of it is walked by the schema and proven to lie inside, then tables are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/status.hpp"
#include "engine/verify_schema.hpp"

namespace mnnlite {

// A vector of scalars in the file, at any alignment.
template <typename Value>
class Values {
 public:
  Values() = default;
  Values(const uint8_t* data, uint32_t count) : data_(data), count_(count) {}
  uint32_t size() const noexcept { return count_; }
  const uint8_t* bytes() const noexcept { return data_; }
  Value operator[](uint32_t index) const noexcept {
    Value value;
    std::memcpy(&value, data_ + size_t{index} * sizeof value, sizeof value);
    return value;
  }

 private:
  const uint8_t* data_ = nullptr;
  uint32_t count_ = 0;
};

// A table of a file that walk_model() has accepted. A table that is not there has no fields.
class Record {
 public:
  Record() = default;
  explicit Record(const uint8_t* table) : table_(table) {}
  explicit operator bool() const noexcept { return table_ != nullptr; }

  bool has(int slot) const noexcept { return field(slot) != nullptr; }
  template <typename Value>
  Value scalar(int slot, Value otherwise) const noexcept {
    Value value = otherwise;
    if (const uint8_t* at = field(slot)) std::memcpy(&value, at, sizeof value);
    return value;
  }
  int32_t number(int slot, int32_t otherwise = 0) const noexcept { return scalar<int32_t>(slot, otherwise); }
  template <typename Value>
  Values<Value> values(int slot) const noexcept {
    const uint8_t* at = target(slot);
    return at ? Values<Value>(at + 4, read32(at)) : Values<Value>();
  }
  Record record(int slot) const noexcept { return Record(target(slot)); }
  uint32_t records(int slot) const noexcept {  // how many
    const uint8_t* at = target(slot);
    return at ? read32(at) : 0;
  }
  Record record(int slot, uint32_t index) const noexcept {
    const uint8_t* at = target(slot) + 4 + size_t{index} * 4;
    return Record(at + read32(at));
  }
  std::string text(int slot, uint32_t index) const {  // of a vector of them
    const uint8_t* at = target(slot) + 4 + size_t{index} * 4;
    at += read32(at);
    return std::string(reinterpret_cast<const char*>(at + 4), read32(at));
  }
  std::string text(int slot) const {
    const uint8_t* at = target(slot);
    return at ? std::string(reinterpret_cast<const char*>(at + 4), read32(at)) : std::string();
  }

 private:
  static uint32_t read32(const uint8_t* at) noexcept {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  const uint8_t* field(int slot) const noexcept {
    if (!table_) return nullptr;
    int32_t back;
    std::memcpy(&back, table_, sizeof back);
    const uint8_t* directory = table_ - back;
    uint16_t length, offset;
    std::memcpy(&length, directory, sizeof length);
    if (4 + slot * 2 + 2 > length) return nullptr;
    std::memcpy(&offset, directory + 4 + slot * 2, sizeof offset);
    return offset ? table_ + offset : nullptr;
  }
  const uint8_t* target(int slot) const noexcept {
    const uint8_t* at = field(slot);
    return at ? at + read32(at) : nullptr;
  }

  const uint8_t* table_ = nullptr;
};

// Whether everything that the file refers to lies inside of it, is aligned and ends. `root` is then the network.
Status walk_model(const uint8_t* data, size_t size, Record& root) noexcept;

}  // namespace mnnlite
