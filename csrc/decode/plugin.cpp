// A decoder from outside, behind the same class as the built-in ones. What it returns is checked before anyone
// reads it: a plug-in that miscounts must not become a read out of bounds.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "core/memory.hpp"
#include "decode/registry.hpp"

namespace mnnlite {
namespace {

Status failed(const char* name, const char* stage, int code, const char* text) noexcept {
  char line[MNNLITE_TEXT];
  std::memcpy(line, text, sizeof line - 1);
  line[sizeof line - 1] = 0;
  return Status::error(Code::decoder, "%s: %s (%s returned %d)", name, line[0] ? line : "no error text", stage, code);
}

class Plugin final : public Decoder {
 public:
  Plugin(const mnnlite_decoder_v2& table, void* self) noexcept : table_(table), self_(self) {}
  ~Plugin() override { table_.destroy(self_); }

  const char* name() const noexcept override { return table_.name; }

  Status plan(const TensorView* desc, int n, int max_items, mnnlite_needs& needs) noexcept override {
    mnnlite_needs asked{};
    asked.frame_width = needs.frame_width;
    asked.frame_height = needs.frame_height;
    const int code = table_.plan(self_, desc, n, max_items, &asked);
    if (code != 0) return failed(name(), "plan", code, asked.error);
    if (asked.kind < MNNLITE_RAW || asked.kind > MNNLITE_MEASUREMENTS)
      return Status::error(Code::decoder, "%s: plan asked for the unknown kind of result %d", name(),
                           static_cast<int>(asked.kind));
    if (asked.rows < 0 || asked.values < 0 || asked.chars < 0 || asked.pixels < 0 || asked.scratch > (size_t{1} << 31))
      return Status::error(Code::decoder,
                           "%s: plan asked for pools of %d rows, %d values, %d chars, %d pixels and %zu bytes", name(),
                           static_cast<int>(asked.rows), static_cast<int>(asked.values), static_cast<int>(asked.chars),
                           static_cast<int>(asked.pixels), asked.scratch);
    needs_ = asked;
    max_items_ = max_items;
    MNNLITE_TRY(try_once(desc, n, asked));
    needs = asked;
    return {};
  }

  Status decode(const TensorView* tensors, int n, const mnnlite_item* items, int n_items, mnnlite_sink& sink,
                void* scratch) const noexcept override {
    if (n_items > max_items_)
      return Status::error(Code::decoder, "%s was planned for at most %d items, got %d", name(), max_items_, n_items);
    const mnnlite_sink given = sink;
    const int code = table_.decode(self_, tensors, n, items, n_items, &sink, scratch);
    const bool moved = sink.rows != given.rows || sink.values != given.values || sink.chars != given.chars ||
                       sink.pixels != given.pixels || sink.row_capacity != given.row_capacity ||
                       sink.value_capacity != given.value_capacity || sink.char_capacity != given.char_capacity ||
                       sink.pixel_capacity != given.pixel_capacity;
    Status status = code != 0 ? failed(name(), "decode", code, sink.error)
                    : moved   ? misuse("changed the result pools")
                              : check(sink);
    if (!status.ok()) sink = given;
    return status;
  }

 private:
  // Decode zeros in memory with a guard behind each pool: what is wrong with a plug-in shows when it is planned, not at
  // the first frame of a camera.
  Status try_once(const TensorView* desc, int n, const mnnlite_needs& needs) const noexcept {
    constexpr size_t kGuard = 64;
    constexpr unsigned char kMark = 0xa5;
    const size_t sizes[5] = {static_cast<size_t>(needs.rows) * sizeof(mnnlite_row),
                             static_cast<size_t>(needs.values) * sizeof(float), static_cast<size_t>(needs.chars),
                             static_cast<size_t>(needs.pixels), needs.scratch};
    Block pools[5];
    for (int i = 0; i < 5; ++i) {
      if (!pools[i].reserve(sizes[i] + kGuard))
        return Status::error(Code::out_of_memory, "%s: no memory to try it", name());
      std::memset(pools[i].data(), kMark, sizes[i] + kGuard);
    }
    Block zeros;
    size_t largest = 1;
    for (int i = 0; i < n; ++i) largest = std::max(largest, stored_bytes(desc[i]));
    std::unique_ptr<TensorView[]> tensors(new (std::nothrow) TensorView[static_cast<size_t>(n) + 1]);
    if (!zeros.reserve(largest) || !tensors)
      return Status::error(Code::out_of_memory, "%s: no memory to try it", name());
    std::memset(zeros.data(), 0, largest);
    for (int i = 0; i < n; ++i) {
      tensors[static_cast<size_t>(i)] = desc[i];
      tensors[static_cast<size_t>(i)].data = zeros.data();
    }
    mnnlite_item item{};
    item.to_frame[0] = item.to_frame[4] = item.to_frame[8] = 1;
    item.net_width = item.net_height = item.frame_width = item.frame_height = 64;
    mnnlite_sink sink{};
    sink.rows = static_cast<mnnlite_row*>(pools[0].data());
    sink.values = static_cast<float*>(pools[1].data());
    sink.chars = static_cast<char*>(pools[2].data());
    sink.pixels = static_cast<uint8_t*>(pools[3].data());
    sink.row_capacity = needs.rows;
    sink.value_capacity = needs.values;
    sink.char_capacity = needs.chars;
    sink.pixel_capacity = needs.pixels;
    MNNLITE_TRY(decode(tensors.get(), n, &item, 1, sink, pools[4].data()));
    for (int i = 0; i < 5; ++i) {
      const unsigned char* guard = static_cast<const unsigned char*>(pools[i].data()) + sizes[i];
      if (std::any_of(guard, guard + kGuard, [](unsigned char byte) { return byte != kMark; })) {
        static constexpr const char* kPools[5] = {"rows", "values", "chars", "pixels", "scratch"};
        return Status::error(Code::decoder, "%s: decode wrote beyond the %s that plan asked for", name(), kPools[i]);
      }
    }
    return {};
  }

  Status misuse(const char* what) const noexcept { return Status::error(Code::decoder, "%s: decode %s", name(), what); }

  // What a row's pixels take of their pool, by its kind.
  int64_t pixels_of(const mnnlite_row& row) const noexcept {
    if (needs_.kind == MNNLITE_INSTANCES) return (int64_t{row.width} + 7) / 8 * row.height;
    if (needs_.kind != MNNLITE_MAPS) return int64_t{row.width} * row.height;
    const int64_t area = int64_t{row.width} * row.height;
    return row.value_count != 9 ? 0 : area > INT32_MAX ? area : area * row.channels;
  }
  bool whole_map(const mnnlite_row& row) const noexcept {
    if (needs_.kind != MNNLITE_MAPS || row.value_count == 9) return true;
    const int64_t area = int64_t{row.width} * row.height;
    return area <= INT32_MAX && area * row.channels == int64_t{row.value_count} - 9;
  }

  Status check(const mnnlite_sink& sink) const noexcept {
    if (sink.row_count < 0 || sink.row_count > sink.row_capacity || sink.value_count < 0 ||
        sink.value_count > sink.value_capacity || sink.char_count < 0 || sink.char_count > sink.char_capacity ||
        sink.pixel_count < 0 || sink.pixel_count > sink.pixel_capacity)
      return misuse("counted more results than the pools hold");
    const auto within = [](int64_t first, int64_t count, int64_t total) {
      return count == 0 || (first >= 0 && count > 0 && first + count <= total);
    };
    for (int32_t i = 0; i < sink.row_count; ++i) {
      const mnnlite_row& row = sink.rows[i];
      if (row.width < 0 || row.height < 0 || !within(row.first_value, row.value_count, sink.value_count) ||
          !within(row.first_char, row.char_count, sink.char_count) ||
          (needs_.kind == MNNLITE_MAPS && row.channels < 0) ||
          !within(row.first_pixel, pixels_of(row), sink.pixel_count) || !whole_map(row))
        return misuse("wrote a row whose ranges lie outside the pools");
    }
    return {};
  }

  mnnlite_decoder_v2 table_;
  void* self_;
  mnnlite_needs needs_{};
  int max_items_ = 0;
};

}  // namespace

Status adopt_decoder(const mnnlite_decoder_v2* table, const mnnlite_option* options, int n,
                     std::unique_ptr<Decoder>& decoder) noexcept {
  if (!table) return Status::error(Code::decoder_abi, "a native decoder has no function table");
  if (table->abi_version != MNNLITE_DECODER_ABI)
    return Status::error(
        Code::decoder_abi,
        "a native decoder was built for version %u of decoder.h, this mnnlite has version %u; rebuild it",
        static_cast<unsigned>(table->abi_version), static_cast<unsigned>(MNNLITE_DECODER_ABI));
  // A larger table comes from a newer header of the same version: its new fields are optional and not used here.
  if (table->struct_size < sizeof(mnnlite_decoder_v2) || table->struct_size > 4096)
    return Status::error(Code::decoder_abi,
                         "a native decoder's function table has %u bytes, at least %zu are wanted; rebuild it",
                         static_cast<unsigned>(table->struct_size), sizeof(mnnlite_decoder_v2));
  if (!table->name || !table->create || !table->plan || !table->decode || !table->destroy)
    return Status::error(Code::decoder_abi,
                         "the native decoder \"%s\" lacks a name or one of create, plan, decode, destroy",
                         table->name ? table->name : "?");
  void* self = nullptr;
  char error[MNNLITE_TEXT] = "";
  const int code = table->create(options, n, &self, error);
  if (code != 0) return failed(table->name, "create", code, error);
  decoder.reset(new (std::nothrow) Plugin(*table, self));
  if (!decoder) {
    table->destroy(self);
    return Status::error(Code::out_of_memory, "no memory for the decoder \"%s\"", table->name);
  }
  return {};
}

}  // namespace mnnlite
