// The memory behind a mnnlite_sink: allocated when a decoder is planned, reused for every frame.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/memory.hpp"
#include "core/status.hpp"
#include "mnnlite/decoder.h"

namespace mnnlite {

class SinkBuffer {
 public:
  // Pools of at least the needed capacities. Rows written before are lost when a pool grows.
  Status reserve(const mnnlite_needs& needs) noexcept {
    const int32_t counts[4] = {needs.rows, needs.values, needs.chars, needs.pixels};
    const size_t sizes[4] = {sizeof(mnnlite_row), sizeof(float), 1, 1};
    for (int pool = 0; pool < 4; ++pool)
      if (counts[pool] < 0)
        return Status::error(Code::decoder, "a decoder asked for a negative capacity (%d) of a result pool",
                             static_cast<int>(counts[pool]));
    for (int pool = 0; pool < 4; ++pool) {
      const size_t bytes = static_cast<size_t>(counts[pool]) * sizes[pool];
      if (!pools_[pool].reserve(bytes)) {
        clear();
        return Status::error(Code::out_of_memory, "no memory for %zu bytes of results", bytes);
      }
    }
    kind_ = needs.kind;
    sink_.rows = static_cast<mnnlite_row*>(pools_[0].data());
    sink_.values = static_cast<float*>(pools_[1].data());
    sink_.chars = static_cast<char*>(pools_[2].data());
    sink_.pixels = static_cast<uint8_t*>(pools_[3].data());
    sink_.row_capacity = needs.rows;
    sink_.value_capacity = needs.values;
    sink_.char_capacity = needs.chars;
    sink_.pixel_capacity = needs.pixels;
    reset();
    return {};
  }

  // True if `reserve` keeps the pools that are there.
  bool fits(const mnnlite_needs& needs) const noexcept {
    return needs.rows >= 0 && static_cast<size_t>(needs.rows) * sizeof(mnnlite_row) <= room(0) && needs.values >= 0 &&
           static_cast<size_t>(needs.values) * sizeof(float) <= room(1) && needs.chars >= 0 &&
           static_cast<size_t>(needs.chars) <= room(2) && needs.pixels >= 0 &&
           static_cast<size_t>(needs.pixels) <= room(3);
  }
  // Bytes of a pool: 0 rows, 1 values, 2 chars, 3 pixels.
  size_t room(int pool) const noexcept { return pools_[pool].size(); }

  // Ready for the next decode.
  void reset() noexcept {
    sink_.row_count = sink_.value_count = sink_.char_count = sink_.pixel_count = 0;
    sink_.found = sink_.truncated = 0;
    sink_.error[0] = 0;
  }

  mnnlite_sink& sink() noexcept { return sink_; }
  const mnnlite_sink& sink() const noexcept { return sink_; }
  int32_t kind() const noexcept { return kind_; }
  size_t bytes() const noexcept {
    size_t total = 0;
    for (const Block& pool : pools_) total += pool.size();
    return total;
  }

 private:
  void clear() noexcept {
    sink_ = mnnlite_sink{};
    for (Block& pool : pools_) pool = Block();
  }

  Block pools_[4];
  mnnlite_sink sink_{};
  int32_t kind_ = MNNLITE_RAW;
};

}  // namespace mnnlite
