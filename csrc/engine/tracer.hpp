// Fills a Trace from MNN's callbacks around each operator.
#pragma once

#include <map>
#include <vector>

#include <MNN/Interpreter.hpp>

#include "engine/trace.hpp"

namespace mnnlite {

class Tracer {
 public:
  // `selected`: operators to execute, null for all.
  Tracer(const MNN::Interpreter& interpreter, const MNN::Session* session, const std::vector<uint8_t>* selected,
         Trace& trace);

  MNN::ErrorCode run();
  bool out_of_memory() const noexcept { return failed_; }

 private:
  using Tensors = std::vector<MNN::Tensor*>;
  bool before(const Tensors& inputs, const MNN::OperatorInfo& info);
  void after(const Tensors& outputs);
  TracedTensor describe(const MNN::Tensor& tensor);
  int32_t backend_of(const MNN::Tensor& tensor);
  bool wants_values(size_t op) const;
  void name_backends();

  int32_t kind_ = 0;  // of the session's main backend, as the engine numbers them

  const MNN::Interpreter& interpreter_;
  const MNN::Session* session_;
  const std::vector<uint8_t>* selected_;
  Trace& trace_;
  std::map<const MNN::Tensor*, int32_t> ids_;
  std::map<const MNN::Backend*, int32_t> backends_;
  std::vector<bool> in_host_memory_;  // by backend: whether its first tensor was
  size_t next_replacement_ = 0;
  bool failed_ = false;
};

}  // namespace mnnlite
