// How results reach Python: arrays over a SinkBuffer's pools, copied or borrowed.
#pragma once

#include <pybind11/numpy.h>

#include <memory>

#include "decode/sink.hpp"

namespace mnnlite::python {

namespace py = pybind11;

// What mnnlite.results makes its types from: a NativeResults, whose arrays are of rank 1. Needs the GIL.
//
// `borrow`: read-only arrays over the pools whose base keeps `buffer` alive. They show the next results after the next
// decode, and stop being valid when the pools grow: whoever owns the buffer asks `is_borrowed` first and raises BusyError
// or takes another buffer.
py::tuple results_to_python(const std::shared_ptr<SinkBuffer>& buffer, bool borrow);

// Result pools that the caller keeps from call to call, with arrays over the whole of them that are made once.
class __attribute__((visibility("hidden"))) ResultBuffer {
 public:
  std::shared_ptr<SinkBuffer>& pools() noexcept { return pools_; }
  // As results_to_python; the arrays are writable. They show the next results after the next decode. Nothing of ours is
  // allocated while the pools stay the same.
  py::tuple results();

 private:
  std::shared_ptr<SinkBuffer> pools_ = std::make_shared<SinkBuffer>(), shown_;
  py::array_t<uint8_t> rows_, chars_, pixels_;
  py::array_t<float> values_;
};

// True while arrays borrowed from the buffer are alive, if `owners` others hold it.
inline bool is_borrowed(const std::shared_ptr<SinkBuffer>& buffer, long owners = 1) noexcept {
  return buffer.use_count() > owners;
}

}  // namespace mnnlite::python
