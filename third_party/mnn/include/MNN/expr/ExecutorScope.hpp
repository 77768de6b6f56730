// Makes an executor the current one of a thread. Declarations for mnnlite, see ../../../README.md.
#ifndef MNNLITE_MNN_EXECUTOR_SCOPE_HPP
#define MNNLITE_MNN_EXECUTOR_SCOPE_HPP

#include <memory>

#include <MNN/expr/Executor.hpp>

namespace MNN {
namespace Express {

struct __attribute__((visibility("default"))) ExecutorScope final {
  explicit ExecutorScope(const std::shared_ptr<Executor>& current);
  ExecutorScope(const ExecutorScope&) = delete;
  virtual ~ExecutorScope();
};

}  // namespace Express
}  // namespace MNN
#endif
