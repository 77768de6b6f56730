#include "engine/net.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <string>

#include "engine/prints.hpp"
#include "engine/said.hpp"

namespace mnnlite {
namespace {

// A file mapped for reading, for the length of a scope.
struct MappedFile {
  void* data = MAP_FAILED;
  size_t size = 0;
  ~MappedFile() {
    if (data != MAP_FAILED) ::munmap(data, size);
  }
};

Status map_file(const char* path, MappedFile& file) {
  const int descriptor = ::open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const int error = errno;
    return Status::error(error == ENOENT || error == ENOTDIR ? Code::model_not_found : Code::model,
                         "cannot open the model file %s: %s", path, std::strerror(error));
  }
  struct stat facts{};
  Status status;
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    status = Status::error(Code::model, "%s is not a regular file", path);
  } else if (facts.st_size == 0) {
    status = Status::error(Code::model_format, "the model file %s is empty", path);
  } else {
    file.size = static_cast<size_t>(facts.st_size);
    file.data = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (file.data == MAP_FAILED)
      status = Status::error(Code::out_of_memory, "cannot map the model file %s: %s", path, std::strerror(errno));
  }
  ::close(descriptor);
  return status;
}

}  // namespace

Status Net::open_file(const char* path, const char* external, Net& result) noexcept {
  MappedFile file;
  MNNLITE_TRY(map_file(path, file));
  std::string weights;
  if (!external) {
    weights = std::string(path) + ".weight";  // where the converter puts them
    if (::access(weights.c_str(), R_OK) == 0) external = weights.c_str();
  }
  Status status = open_bytes(file.data, file.size, external, result);
  if (!status.ok()) {
    char text[sizeof status.text];
    std::memcpy(text, status.text, sizeof text);
    std::snprintf(status.text, sizeof status.text, "%.100s: %.130s", path, text);
  }
  return status;
}

Status Net::open_bytes(const void* bytes, size_t size, const char* external, Net& result) noexcept {
  if (size > INT_MAX) return Status::error(Code::model_format, "a model of %zu bytes; the engine takes at most %d", size, INT_MAX);
  const char* head = static_cast<const char*>(bytes);
  if (size > 8 && std::memcmp(head + 4, "TFL3", 4) == 0)
    return Status::error(Code::model_format, "a TFLite model, not an MNN one: convert it with \"mnnlite convert\"");
  const PrintCapture prints;
  Net net;
  net.interpreter_.reset(MNN::Interpreter::createFromBuffer(bytes, size));
  if (!net.interpreter_ && std::strstr(prints.text(), "Memory not enough"))
    return Status::error(Code::out_of_memory, "no memory for a model of %zu bytes", size);
  if (!net.interpreter_)
    return Status::error(Code::model_format, "not an MNN model, or a damaged one (%zu bytes)%s", size, Said(prints).text());
  net.file_bytes_ = net.buffer_bytes_ = size;
  std::snprintf(net.version_, sizeof net.version_, "%s", net.interpreter_->getModelVersion());
  if (external) {
    if (::access(external, R_OK) != 0)
      return Status::error(Code::model_not_found, "cannot read the file of external weights %s: %s", external, std::strerror(errno));
    net.interpreter_->setExternalFile(external);
  }
  net.interpreter_->setSessionMode(MNN::Interpreter::Session_Debug);        // callbacks: branches, operator times
  net.interpreter_->setSessionMode(MNN::Interpreter::Session_Input_User);   // input memory is ours
  net.interpreter_->setSessionMode(MNN::Interpreter::Session_Output_User);  // outputs outside the shared buffer
  result = std::move(net);
  return {};
}

void Net::release_buffer() noexcept {
  if (released()) return;
  interpreter_->releaseModel();
  buffer_bytes_ = 0;
}

}  // namespace mnnlite
