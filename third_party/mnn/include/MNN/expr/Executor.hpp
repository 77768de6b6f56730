// Owner of a runtime whose shared memory can be given back. Declarations for mnnlite, see ../../../README.md.
#ifndef MNNLITE_MNN_EXECUTOR_HPP
#define MNNLITE_MNN_EXECUTOR_HPP

#include <memory>

#include <MNN/Interpreter.hpp>

namespace MNN {
namespace Express {

class __attribute__((visibility("default"))) Executor {
 public:
  enum GCFlag { FULL, PART };

  static std::shared_ptr<Executor> newExecutor(MNNForwardType type, const BackendConfig& config, int numberThread);
  static RuntimeInfo getRuntime();
  void gc(GCFlag flag = FULL);
  int getCurrentRuntimeStatus(RuntimeStatus status);

 private:
  Executor();
  ~Executor();
};

}  // namespace Express
}  // namespace MNN
#endif
