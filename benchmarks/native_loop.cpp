// The same loop as call_overhead.py's, in C++ on the engine's own interface: what a run costs without mnnlite.
// Prints one time in nanoseconds a line. usage: native_loop MODEL RUNS
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <MNN/Interpreter.hpp>
#include <MNN/Tensor.hpp>
#include <MNN/expr/Executor.hpp>
#include <MNN/expr/ExecutorScope.hpp>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  MNN::Interpreter* net = MNN::Interpreter::createFromFile(argv[1]);
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
  const int runs = std::atoi(argv[2]);
  std::vector<long long> times(static_cast<size_t>(runs));
  for (int i = 0; i < 200; ++i) net->runSession(session);
  for (long long& time : times) {
    const auto begin = std::chrono::steady_clock::now();
    if (net->runSession(session) != MNN::NO_ERROR) return 1;
    time = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin).count();
  }
  for (const long long time : times) std::printf("%lld\n", time);
  MNN::Interpreter::destroy(net);
  for (void* memory : inputs) std::free(memory);
  return 0;
}
