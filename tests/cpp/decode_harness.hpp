// What the decoder tests share: tensors with their memory, and a decoder planned with its pools.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/memory.hpp"
#include "decode/registry.hpp"
#include "decode/sink.hpp"

namespace mnnlite::test {

struct Tensor {
  std::vector<uint8_t> memory;
  TensorView view{};

  Tensor(std::vector<int32_t> dims, int32_t dtype = MNNLITE_F32, int32_t layout = MNNLITE_PLAIN,
         const char* name = "y") {
    view.name = name;
    view.dtype = dtype;
    view.layout = layout;
    view.rank = static_cast<int32_t>(dims.size());
    for (size_t i = 0; i < dims.size(); ++i) view.dims[i] = dims[i];
    memory.resize(stored_bytes(view));
    view.data = memory.data();
  }
  template <class T = float>
  T* as() {
    return reinterpret_cast<T*>(memory.data());
  }
  size_t size() const { return memory.size() / size_of(dtype_of(view)); }
};

inline mnnlite_item whole_frame(int32_t net_width, int32_t net_height, int32_t width, int32_t height,
                                int32_t index = 0) {
  mnnlite_item item{};
  item.to_frame[0] = static_cast<double>(width) / net_width;
  item.to_frame[4] = static_cast<double>(height) / net_height;
  item.to_frame[8] = 1;
  item.net_width = net_width;
  item.net_height = net_height;
  item.frame_width = width;
  item.frame_height = height;
  item.item = index;
  return item;
}

inline mnnlite_option number(const char* key, double value) {
  return {key, MNNLITE_NUMBER, 0, value, nullptr, nullptr};
}
inline mnnlite_option text(const char* key, const char* value) { return {key, MNNLITE_STRING, 0, 0, value, nullptr}; }

struct Planned {
  std::unique_ptr<Decoder> decoder;
  SinkBuffer buffer;
  Block scratch;
  mnnlite_needs needs{};
  Status status;

  Planned(const char* family, std::vector<mnnlite_option> options = {}) {
    status = make_decoder(family, options.data(), static_cast<int>(options.size()), decoder);
  }
  Status plan(const std::vector<TensorView>& like, int max_items = 1, int32_t frame_width = 640,
              int32_t frame_height = 480) {
    needs = mnnlite_needs{};
    needs.frame_width = frame_width;
    needs.frame_height = frame_height;
    MNNLITE_TRY(decoder->plan(like.data(), static_cast<int>(like.size()), max_items, needs));
    MNNLITE_TRY(buffer.reserve(needs));
    return scratch.reserve(needs.scratch) ? Status{} : Status::error(Code::out_of_memory, "scratch");
  }
  Status decode(const std::vector<TensorView>& tensors, const std::vector<mnnlite_item>& items) {
    buffer.reset();
    return decoder->decode(tensors.data(), static_cast<int>(tensors.size()), items.data(),
                           static_cast<int>(items.size()), buffer.sink(), scratch.data());
  }
  std::vector<mnnlite_row> rows() const {
    const mnnlite_sink& sink = buffer.sink();
    return {sink.rows, sink.rows + sink.row_count};
  }
};

inline bool contains(const char* line, const char* part) { return std::string(line).find(part) != std::string::npos; }

}  // namespace mnnlite::test
