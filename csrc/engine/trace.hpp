// What one run did, operator by operator: times, types, shapes and, on request, the values of every operator's outputs.
// No type of MNN appears here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/memory.hpp"
#include "core/views.hpp"

namespace mnnlite {

struct TracedTensor {
  int32_t id = -1;  // equal within a trace for the same tensor of the engine
  TensorView view;  // plain order; data is null where no values were asked for or none can be read
  Block values;     // owns view.data
};

struct TracedOperator {
  std::string name, type;
  float mflops = 0;
  int64_t start_ns = 0, stop_ns = 0;  // steady clock; equal where the operator was left out
  int32_t backend = -1;               // index into Trace::backends of where the first output lies
  bool executed = false;
  std::vector<TracedTensor> inputs;  // never with values
  std::vector<TracedTensor> outputs;
};

// Values to put in place of an operator's output once it ran, so that whatever reads it is fed from elsewhere.
struct Replacement {
  size_t op = 0, output = 0;
  std::vector<float> values;  // plain order, as many as the tensor has elements
};

struct Trace {
  // Wanted. Without `execute` operators are only listed. All values: `values` with `only` empty; else those of the operators whose bytes in `only` are set.
  bool execute = true;
  bool values = false;
  std::vector<uint8_t> only;
  std::vector<Replacement> replacements;  // ascending by operator

  // Found.
  std::vector<TracedOperator> operators;
  std::string main;                   // the session's backend, one of these; operators that it lacks are on another
  bool is_timed = true;               // operator times are of the work and not of handing it over
  std::vector<std::string> backends;  // cpu, cpu-ext (AVX2 or half floats), opencl, opengl, vulkan
  int64_t start_ns = 0, stop_ns = 0;  // of the engine's run, callbacks included
  size_t unfitting = 0;               // replacements that no tensor could take
};

}  // namespace mnnlite
