#include "engine/tracer.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>

#include "engine/options.hpp"
#include "engine/tensors.hpp"

namespace mnnlite {
namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct DestroyTensor {
  void operator()(MNN::Tensor* tensor) const noexcept { MNN::Tensor::destroy(tensor); }
};
using HostTensor = std::unique_ptr<MNN::Tensor, DestroyTensor>;

// A tensor of the same shape over plain memory, which the engine converts from and into. Halves and packed channels end
// as the declared type in plain order.
HostTensor plain_tensor(const MNN::Tensor& tensor, void* data) {
  const MNN::Tensor::DimensionType order =
      tensor.getDimensionType() == MNN::Tensor::TENSORFLOW ? MNN::Tensor::TENSORFLOW : MNN::Tensor::CAFFE;
  return HostTensor(MNN::Tensor::create(tensor.shape(), tensor.buffer().type, data, order));
}

bool read_values(const MNN::Tensor& tensor, TracedTensor& traced) {
  const size_t bytes = stored_bytes(traced.view);
  if (bytes == 0 || (tensor.buffer().host == nullptr && tensor.buffer().device == 0)) return true;
  if (!traced.values.reserve(bytes)) return false;
  const HostTensor host = plain_tensor(tensor, traced.values.data());
  if (host && tensor.copyToHostTensor(host.get())) traced.view.data = traced.values.data();
  return true;
}

bool write_values(MNN::Tensor& tensor, const TensorView& view, const std::vector<float>& values) {
  if (stored_elements(view) != values.size()) return false;
  Block block;
  if (!block.reserve(stored_bytes(view))) return false;
  switch (dtype_of(view)) {
    case DType::f32: std::memcpy(block.data(), values.data(), values.size() * sizeof(float)); break;
    case DType::i32:
      for (size_t i = 0; i < values.size(); ++i)
        static_cast<int32_t*>(block.data())[i] = static_cast<int32_t>(values[i]);
      break;
    default: return false;  // the scale of 8-bit values is nowhere to be had
  }
  const HostTensor host = plain_tensor(tensor, block.data());
  return host && tensor.copyFromHostTensor(host.get());
}

}  // namespace

Tracer::Tracer(const MNN::Interpreter& interpreter, const MNN::Session* session, const std::vector<uint8_t>* selected,
               Trace& trace)
    : interpreter_(interpreter), session_(session), selected_(selected), trace_(trace) {
  trace_.operators.clear();
  trace_.backends.clear();
  trace_.unfitting = 0;
  int kinds[8] = {};
  // Not const in the engine's interface, though it changes nothing.
  const_cast<MNN::Interpreter&>(interpreter_).getSessionInfo(session_, MNN::Interpreter::BACKENDS, kinds);
  kind_ = kinds[0];
  trace_.is_timed = kind_ != MNN_FORWARD_VULKAN && kind_ != MNN_FORWARD_OPENGL;
}

MNN::ErrorCode Tracer::run() {
  // The engine is built without exceptions, so none may leave a callback; `after` ends the run instead.
  const MNN::TensorCallBackWithInfo before_each = [this](const Tensors& inputs, const MNN::OperatorInfo* info) {
    try {
      return before(inputs, *info);
    } catch (...) {
      failed_ = true;
      return false;
    }
  };
  const MNN::TensorCallBackWithInfo after_each = [this](const Tensors& outputs, const MNN::OperatorInfo*) {
    try {
      if (!failed_) after(outputs);
    } catch (...) {
      failed_ = true;
    }
    return !failed_;
  };
  trace_.start_ns = now_ns();
  const MNN::ErrorCode code = interpreter_.runSessionWithCallBackInfo(session_, before_each, after_each, true);
  trace_.stop_ns = now_ns();
  try {
    name_backends();
  } catch (...) {
    failed_ = true;
  }
  return code;
}

// The engine tells the kind of the session's main backend and, of each tensor, which of several nameless backends holds
// it. Beside a GPU the nameless one that keeps tensors in host memory is the CPU. The CPU's extension (AVX2, half
// floats) leaves what it lacks to the plain CPU; of the two it is the one that runs most operators.
void Tracer::name_backends() {
  std::vector<size_t> count(backends_.size(), 0);
  for (const TracedOperator& op : trace_.operators)
    if (op.backend >= 0) ++count[static_cast<size_t>(op.backend)];
  const size_t main = static_cast<size_t>(std::max_element(count.begin(), count.end()) - count.begin());
  const bool extended = kind_ == MNN_FORWARD_CPU_EXTENSION;
  const bool on_cpu = extended || kind_ == MNN_FORWARD_CPU;
  const char* const gpu = on_cpu ? nullptr : backend_word(kind_);
  trace_.main = gpu ? gpu : extended ? "cpu-ext" : "cpu";
  for (size_t i = 0; i < count.size(); ++i)
    trace_.backends.emplace_back(gpu ? (in_host_memory_[i] ? "cpu" : gpu) : extended && i == main ? "cpu-ext" : "cpu");
}

bool Tracer::before(const Tensors& inputs, const MNN::OperatorInfo& info) {
  const size_t index = trace_.operators.size();
  TracedOperator op;
  op.name = info.name();
  op.type = info.type();
  op.mflops = info.flops();
  op.executed = trace_.execute && (!selected_ || index >= selected_->size() || (*selected_)[index] != 0);
  for (const MNN::Tensor* tensor : inputs) op.inputs.push_back(describe(*tensor));
  trace_.operators.push_back(std::move(op));
  TracedOperator& kept = trace_.operators.back();
  kept.start_ns = kept.stop_ns = now_ns();
  return kept.executed;
}

void Tracer::after(const Tensors& outputs) {
  // A GPU has been handed its work by now and not ended it.
  if (kind_ == MNN_FORWARD_OPENCL && trace_.operators.back().executed)
    for (MNN::Tensor* tensor : outputs) tensor->wait(MNN::Tensor::MAP_TENSOR_READ, true);
  const int64_t stop = now_ns();
  const size_t index = trace_.operators.size() - 1;
  TracedOperator& op = trace_.operators[index];
  if (op.executed && trace_.is_timed) op.stop_ns = stop;
  if (!outputs.empty()) op.backend = backend_of(*outputs[0]);
  for (MNN::Tensor* tensor : outputs) {
    TracedTensor traced = describe(*tensor);
    if (op.executed && traced.view.rank >= 0 && wants_values(index) && !read_values(*tensor, traced))
      throw std::bad_alloc();
    op.outputs.push_back(std::move(traced));
  }
  for (; next_replacement_ < trace_.replacements.size() && trace_.replacements[next_replacement_].op <= index;
       ++next_replacement_) {
    const Replacement& each = trace_.replacements[next_replacement_];
    const bool written = each.op == index && op.executed && each.output < outputs.size() &&
                         op.outputs[each.output].view.rank >= 0 &&
                         write_values(*outputs[each.output], op.outputs[each.output].view, each.values);
    trace_.unfitting += !written;
  }
}

TracedTensor Tracer::describe(const MNN::Tensor& tensor) {
  TracedTensor traced;
  traced.id = ids_.emplace(&tensor, static_cast<int32_t>(ids_.size())).first->second;
  // What has no place in a view (more axes, other types) keeps a rank of -1.
  if (!describe_tensor(tensor, "", traced.view).ok()) traced.view.rank = -1;
  return traced;
}

int32_t Tracer::backend_of(const MNN::Tensor& tensor) {
  const MNN::Backend* backend = interpreter_.getBackend(session_, &tensor);
  const auto [entry, fresh] = backends_.emplace(backend, static_cast<int32_t>(backends_.size()));
  if (fresh) in_host_memory_.push_back(tensor.buffer().device == 0);
  return entry->second;
}

bool Tracer::wants_values(size_t op) const {
  return trace_.values && (trace_.only.empty() || (op < trace_.only.size() && trace_.only[op] != 0));
}

}  // namespace mnnlite
