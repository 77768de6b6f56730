#include "engine/library.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include <MNN/expr/Executor.hpp>
#include <MNN/expr/ExecutorScope.hpp>

#include "engine/log_capture.hpp"

namespace mnnlite {
namespace {

// The layout of MNN 3.0.0 to 3.6.1 on 64-bit Linux, for both string ABIs. Against an SDK's headers these check the SDK;
// against third_party/mnn they check our declarations. probe_tensor and probe_session check the engine itself.
static_assert(sizeof(void*) == 8, "sizes below are those of 64-bit systems");
static_assert(sizeof(MNNForwardType) == 4);
static_assert(sizeof(MNN::ErrorCode) == 4);
static_assert(sizeof(MNN::BackendConfig) == 24);
static_assert(offsetof(MNN::BackendConfig, memory) == 0);
static_assert(offsetof(MNN::BackendConfig, power) == 4);
static_assert(offsetof(MNN::BackendConfig, precision) == 8);
static_assert(offsetof(MNN::BackendConfig, sharedContext) == 16);
static_assert(sizeof(MNN::ScheduleConfig::Path) == 56);
static_assert(offsetof(MNN::ScheduleConfig::Path, inputs) == 0);
static_assert(offsetof(MNN::ScheduleConfig::Path, outputs) == 24);
static_assert(offsetof(MNN::ScheduleConfig::Path, mode) == 48);
static_assert(sizeof(MNN::ScheduleConfig) == 104);
static_assert(offsetof(MNN::ScheduleConfig, saveTensors) == 0);
static_assert(offsetof(MNN::ScheduleConfig, type) == 24);
static_assert(offsetof(MNN::ScheduleConfig, numThread) == 28);
static_assert(offsetof(MNN::ScheduleConfig, path) == 32);
static_assert(offsetof(MNN::ScheduleConfig, backupType) == 88);
static_assert(offsetof(MNN::ScheduleConfig, backendConfig) == 96);
static_assert(sizeof(MNN::RuntimeInfo) == 64);
static_assert(sizeof(halide_type_t) == 8);
static_assert(offsetof(halide_type_t, code) == 0);
static_assert(offsetof(halide_type_t, bits) == 4);
static_assert(offsetof(halide_type_t, lanes) == 6);
static_assert(sizeof(halide_dimension_t) == 16);
static_assert(offsetof(halide_dimension_t, extent) == 4);
static_assert(sizeof(halide_buffer_t) == 64);
static_assert(offsetof(halide_buffer_t, device) == 0);
static_assert(offsetof(halide_buffer_t, host) == 16);
static_assert(offsetof(halide_buffer_t, flags) == 24);
static_assert(offsetof(halide_buffer_t, type) == 32);
static_assert(offsetof(halide_buffer_t, dimensions) == 40);
static_assert(offsetof(halide_buffer_t, dim) == 48);
static_assert(sizeof(MNN::Tensor) == 72);

constexpr unsigned char kProbeModel[] = {
#include "engine/probe_model.inc"
};

Status mismatch(const char* what) {
  return Status::error(
      Code::engine_version,
      "MNN %.20s is not laid out as this build of mnnlite expects (%s differs); install MNN>=3.0.0,<4 or "
      "rebuild mnnlite against this engine",
      engine_version(), what);
}

Status probe_tensor() {
  struct Destroy {
    void operator()(MNN::Tensor* tensor) const { MNN::Tensor::destroy(tensor); }
  };
  float values[24] = {};
  const std::unique_ptr<MNN::Tensor, Destroy> tensor(
      MNN::Tensor::create({1, 2, 3, 4}, halide_type_t(halide_type_float, 32), values, MNN::Tensor::CAFFE));
  if (!tensor) return mismatch("Tensor::create");
  const halide_buffer_t& buffer = tensor->buffer();
  if (static_cast<const void*>(&buffer) != static_cast<const void*>(tensor.get())) return mismatch("Tensor's buffer");
  if (buffer.host != reinterpret_cast<uint8_t*>(values)) return mismatch("halide_buffer_t.host");
  if (buffer.dimensions != 4 || !buffer.dim) return mismatch("halide_buffer_t.dimensions");
  for (int axis = 0; axis < 4; ++axis)
    if (buffer.dim[axis].extent != axis + 1) return mismatch("halide_dimension_t.extent");
  if (buffer.type.code != halide_type_float || buffer.type.bits != 32 || buffer.type.lanes != 1)
    return mismatch("halide_type_t");
  if (tensor->size() != 96 || tensor->shape() != std::vector<int>{1, 2, 3, 4}) return mismatch("Tensor::size or shape");
  if (tensor->getDimensionType() != MNN::Tensor::CAFFE) return mismatch("Tensor::DimensionType");
  return {};
}

Status probe_session() {
  struct Destroy {
    void operator()(MNN::Interpreter* interpreter) const { MNN::Interpreter::destroy(interpreter); }
  };
  MNN::BackendConfig backend;
  constexpr int kThreads = 1;  // more would be started, and an import starts no threads
  const std::shared_ptr<MNN::Express::Executor> executor =
      MNN::Express::Executor::newExecutor(MNN_FORWARD_CPU, backend, kThreads);
  if (!executor) return mismatch("Executor::newExecutor");
  MNN::RuntimeInfo runtime;
  {
    const MNN::Express::ExecutorScope scope(executor);
    runtime = MNN::Express::Executor::getRuntime();
  }
  const std::unique_ptr<MNN::Interpreter, Destroy> interpreter(
      MNN::Interpreter::createFromBuffer(kProbeModel, sizeof kProbeModel));
  if (!interpreter) return mismatch("Interpreter::createFromBuffer");
  interpreter->setSessionMode(MNN::Interpreter::Session_Input_User);
  interpreter->setSessionMode(MNN::Interpreter::Session_Output_User);
  MNN::ScheduleConfig config;
  config.numThread = kThreads;
  config.path.mode = MNN::ScheduleConfig::Path::Tensor;
  config.path.outputs = {"minus"};
  config.backendConfig = &backend;
  MNN::Session* session = interpreter->createSession(config, runtime);
  if (!session) return mismatch("Interpreter::createSession");
  int threads = 0;
  if (!interpreter->getSessionInfo(session, MNN::Interpreter::THREAD_NUMBER, &threads) || threads != kThreads)
    return mismatch("THREAD_NUMBER");
  const auto& inputs = interpreter->getSessionInputAll(session);
  const auto& outputs = interpreter->getSessionOutputAll(session);
  const auto x = inputs.find("x");
  const auto minus = outputs.find("minus");
  if (inputs.size() != 1 || x == inputs.end() || minus == outputs.end())
    return mismatch("std::map<std::string, Tensor*>");
  alignas(64) float values[16] = {1.5f, -2.0f, 0.46875f};
  x->second->buffer().host = reinterpret_cast<uint8_t*>(values);
  interpreter->resizeSession(session);
  int status = -1;
  if (!interpreter->getSessionInfo(session, MNN::Interpreter::RESIZE_STATUS, &status) || status != 0)
    return mismatch("RESIZE_STATUS");
  int operators = 0;
  const MNN::TensorCallBackWithInfo before = [](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo*) {
    return true;
  };
  const MNN::TensorCallBackWithInfo after = [&](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo* info) {
    operators += info->type().empty() ? 0 : 1;
    return true;
  };
  if (interpreter->runSessionWithCallBackInfo(session, before, after) != MNN::NO_ERROR)
    return mismatch("runSessionWithCallBackInfo");
  // The path was read: one operator, not two.
  if (operators != 1) return mismatch("ScheduleConfig.path");
  const float* result = reinterpret_cast<const float*>(minus->second->buffer().host);
  if (!result || result[0] != -1.5f || result[1] != 2.0f || result[2] != -0.46875f)
    return mismatch("a session's tensors");
  return {};
}

}  // namespace

const char* engine_version() noexcept { return MNN::getVersion(); }

ProbeModel probe_model() noexcept { return {kProbeModel, sizeof kProbeModel}; }

const char* engine_path() noexcept {
  Dl_info info;
  return ::dladdr(reinterpret_cast<const void*>(&MNN::getVersion), &info) && info.dli_fname ? info.dli_fname : "";
}

int string_abi() noexcept { return _GLIBCXX_USE_CXX11_ABI; }

Status check_engine() noexcept try {
  const LogCapture log;
  int major = 0, minor = 0;
  if (std::sscanf(engine_version(), "%d.%d", &major, &minor) != 2 || major != 3)
    return Status::error(Code::engine_version, "MNN %.20s is outside the supported range; install MNN>=3.0.0,<4",
                         engine_version());
  const Status status = probe_tensor();
  return status.ok() ? probe_session() : status;
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to probe the engine");
}

}  // namespace mnnlite
