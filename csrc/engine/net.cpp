#include "engine/net.hpp"

#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "engine/engine_message.hpp"
#include "engine/library.hpp"
#include "engine/log_capture.hpp"
#include "engine/verify.hpp"
#include "engine/weights.hpp"

namespace mnnlite {
namespace {

// Up to which number the engine in use keeps its operators in a table that it indexes without asking. That of MNN 3.0
// to 3.6; a newer one may know more.
int32_t last_operator_type() {
  int major = 0, minor = 0;
  const bool ours = std::sscanf(engine_version(), "%d.%d", &major, &minor) == 2 && major == 3 && minor <= 6;
  return ours ? -1 : INT32_MAX;
}

// Where the engine's copy of a model lies in the block that it allocates for it, and by how much that is larger: seen on
// the probe's network. No room before it: not known.
struct CopyLayout {
  size_t before = 0, more = 0;
};

const CopyLayout& copy_layout() {
  static const CopyLayout found = [] {
    const ProbeModel probe = probe_model();
    const WeightBlocks::Watch watch(probe.size);
    const std::unique_ptr<MNN::Interpreter, DestroyInterpreter> interpreter(
        MNN::Interpreter::createFromBuffer(probe.data, probe.size));
    if (!interpreter || !watch.block()) return CopyLayout{};
    const auto [content, size] = interpreter->getModelBuffer();
    const auto offset = reinterpret_cast<uintptr_t>(content) - reinterpret_cast<uintptr_t>(watch.block());
    const bool inside = size == probe.size && offset < watch.size() && watch.size() - offset >= size;
    return inside ? CopyLayout{offset, watch.size() - size} : CopyLayout{};
  }();
  return found;
}

// The bytes of `file` become the engine's copy of themselves: it allocates memory, gets the pages in which they lie, and
// copies them to where they are. So a model is in memory once while it is loaded, and its pages are touched once.
MNN::Interpreter* create(const void* bytes, size_t size, ModelFile* file) {
  const CopyLayout& layout = copy_layout();
  if (!file || layout.before != ModelFile::kRoom || layout.more > 2 * ModelFile::kRoom)
    return MNN::Interpreter::createFromBuffer(bytes, size);
  const WeightBlocks::HandOver hand_over(file->pages(), file->pages_bytes(), size + layout.more);
  std::unique_ptr<MNN::Interpreter, DestroyInterpreter> made(MNN::Interpreter::createFromBuffer(bytes, size));
  if (!hand_over.done()) return made.release();
  file->leave_pages();
  return made && made->getModelBuffer().first == bytes ? made.release() : nullptr;
}

}  // namespace

Status Net::open(const void* bytes, size_t size, ModelFile* file, WeightsFile weights,
                 const std::vector<std::string>& outputs, Net& result) noexcept try {
  if (size > INT_MAX)
    return Status::error(Code::model_format, "a model of %zu bytes; the engine takes at most %d", size, INT_MAX);
  const char* head = static_cast<const char*>(bytes);
  if (size > 8 && std::memcmp(head + 4, "TFL3", 4) == 0)
    return Status::error(Code::model_format, "a TFLite model, not an MNN one: convert it with \"mnnlite convert\"");
  VerifyOptions options;
  if (weights.is_open()) options.external_bytes = weights.size();
  options.outputs = outputs;
  options.last_type = last_operator_type();
  VerifiedModel facts;
  MNNLITE_TRY(verify_model(bytes, size, options, facts));
  if (facts.external_bytes > 0) {
    MNNLITE_TRY(weights.check_written(facts.external_bytes));
    if (::access(weights.descriptor_path(), R_OK) != 0)
      return Status::error(Code::model, "the file of external weights cannot be opened as %s; is /proc there?",
                           weights.descriptor_path());
  }

  const LogCapture log;
  Net net;
  const WeightBlocks::Collect collect({}, Weights::heap);  // its copy of the file
  net.interpreter_.reset(create(bytes, size, file));
  if (!net.interpreter_ && std::strstr(log.text(), "Memory not enough"))
    return Status::error(Code::out_of_memory, "no memory for a model of %zu bytes", size);
  if (!net.interpreter_)
    return Status::error(Code::model_format, "not an MNN model, or a damaged one (%zu bytes)%s", size,
                         EngineMessage(log).text());
  net.file_bytes_ = net.buffer_bytes_ = size;
  std::snprintf(net.version_, sizeof net.version_, "%s", net.interpreter_->getModelVersion());
  if (facts.external_bytes > 0) {
    net.interpreter_->setExternalFile(weights.descriptor_path());
    net.weights_ = std::move(weights);
  }
  net.interpreter_->setSessionMode(MNN::Interpreter::Session_Debug);        // callbacks: branches, operator times
  net.interpreter_->setSessionMode(MNN::Interpreter::Session_Input_User);   // input memory is ours
  net.interpreter_->setSessionMode(MNN::Interpreter::Session_Output_User);  // outputs outside the shared buffer
  result = std::move(net);
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to open a model of %zu bytes", size);
}

void Net::release_buffer() noexcept {
  if (released()) return;
  interpreter_->releaseModel();
  weights_ = WeightsFile();
  buffer_bytes_ = 0;
}

}  // namespace mnnlite
