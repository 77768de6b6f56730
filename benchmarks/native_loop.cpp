// The same loop as call_overhead.py's, in C++ on the engine's own interface: what a run costs without mnnlite.
// A library, because the wheel's engine can only be loaded into a Python process: it leaves Python's symbols undefined.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include <MNN/Interpreter.hpp>
#include <MNN/Tensor.hpp>
#include <MNN/expr/Executor.hpp>
#include <MNN/expr/ExecutorScope.hpp>

// Nanoseconds of each run into `times`; returns 0, or 1 if the engine refuses.
extern "C" int native_loop(const char* model, int runs, long long* times) {
  std::ifstream file(model, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  MNN::Interpreter* net = MNN::Interpreter::createFromBuffer(bytes.data(), bytes.size());
  if (!net) return 1;
  net->setSessionMode(MNN::Interpreter::Session_Input_User);
  net->setSessionMode(MNN::Interpreter::Session_Output_User);
  MNN::ScheduleConfig config;
  config.numThread = 1;
  MNN::BackendConfig backend;
  config.backendConfig = &backend;
  const auto executor = MNN::Express::Executor::newExecutor(MNN_FORWARD_CPU, backend, 1);
  MNN::RuntimeInfo runtime;
  {
    const MNN::Express::ExecutorScope scope(executor);
    runtime = MNN::Express::Executor::getRuntime();
  }
  MNN::Session* session = net->createSession(config, runtime);
  if (!session) return 1;
  std::vector<void*> inputs;
  for (const auto& entry : net->getSessionInputAll(session)) {
    MNN::Tensor& tensor = *entry.second;
    const size_t bytes = (static_cast<size_t>(tensor.size()) + 63) / 64 * 64;
    float* memory = static_cast<float*>(std::aligned_alloc(64, bytes));
    for (size_t i = 0; i < bytes / 4; ++i) memory[i] = 0.46875f;
    tensor.buffer().host = reinterpret_cast<uint8_t*>(memory);
    inputs.push_back(memory);
  }
  net->resizeSession(session);
  net->releaseModel();
  for (int i = 0; i < 200; ++i) net->runSession(session);
  for (int i = 0; i < runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (net->runSession(session) != MNN::NO_ERROR) return 1;
    times[i] = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin).count();
  }
  MNN::Interpreter::destroy(net);
  for (void* memory : inputs) std::free(memory);
  return 0;
}
