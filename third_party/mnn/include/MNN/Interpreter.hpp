// Models and sessions. Declarations for mnnlite, see ../../README.md.
#ifndef MNNLITE_MNN_INTERPRETER_HPP
#define MNNLITE_MNN_INTERPRETER_HPP

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <MNN/ErrorCode.hpp>
#include <MNN/MNNForwardType.h>
#include <MNN/Tensor.hpp>

namespace MNN {

class Backend;
class Session;
class Runtime;
struct Content;

__attribute__((visibility("default"))) const char* getVersion();

struct ScheduleConfig {
  struct Path {
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    enum Mode { Op = 0, Tensor = 1 };
    Mode mode = Op;
  };

  std::vector<std::string> saveTensors;
  MNNForwardType type = MNN_FORWARD_CPU;
  union {
    int numThread = 4;
    int mode;
  };
  Path path;
  MNNForwardType backupType = MNN_FORWARD_CPU;
  BackendConfig* backendConfig = nullptr;
};

class __attribute__((visibility("default"))) OperatorInfo {
 public:
  const std::string& name() const;
  const std::string& type() const;
  float flops() const;  // in millions

 private:
  OperatorInfo();
  ~OperatorInfo();
};

typedef std::function<bool(const std::vector<Tensor*>&, const OperatorInfo*)> TensorCallBackWithInfo;
typedef std::pair<std::map<MNNForwardType, std::shared_ptr<Runtime>>, std::shared_ptr<Runtime>> RuntimeInfo;

class __attribute__((visibility("default"))) Interpreter {
 public:
  enum SessionMode {
    Session_Debug = 0,
    Session_Input_User = 3,
    Session_Output_User = 5,
    Session_Mode_Highest_ = 0x7fffffff
  };
  enum HintMode { WINOGRAD_MEMORY_LEVEL = 3, Session_Hint_Highest_ = 0x7fffffff };
  enum SessionInfoCode {
    MEMORY = 0,
    FLOPS = 1,
    BACKENDS = 2,
    RESIZE_STATUS = 3,
    THREAD_NUMBER = 4,
    Session_Info_Highest_ = 0x7fffffff
  };

  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  static Interpreter* createFromBuffer(const void* buffer, size_t size);
  static void destroy(Interpreter* net);

  void setSessionMode(SessionMode mode);
  void setSessionHint(HintMode hint, int value);
  void setCacheFile(const char* file, size_t size = 128);
  ErrorCode updateCacheFile(Session* session, int flag = 0);
  void setExternalFile(const char* file, size_t flag = 128);
  Session* createSession(const ScheduleConfig& config, const RuntimeInfo& runtime);
  bool releaseSession(Session* session);
  void resizeSession(Session* session);
  void resizeTensor(Tensor* tensor, const std::vector<int>& dims);
  void releaseModel();
  const char* getModelVersion() const;
  const char* bizCode() const;
  std::pair<const void*, size_t> getModelBuffer() const;
  ErrorCode runSession(Session* session) const;
  ErrorCode runSessionWithCallBackInfo(const Session* session, const TensorCallBackWithInfo& before,
                                       const TensorCallBackWithInfo& end, bool sync = false) const;
  const Backend* getBackend(const Session* session, const Tensor* tensor) const;
  bool getSessionInfo(const Session* session, SessionInfoCode code, void* value);
  const std::map<std::string, Tensor*>& getSessionInputAll(const Session* session) const;
  const std::map<std::string, Tensor*>& getSessionOutputAll(const Session* session) const;

 private:
  Interpreter();
  ~Interpreter();
};

}  // namespace MNN
#endif
