#include "engine/arena.hpp"

#include <pthread.h>
#include <sched.h>

#include <new>
#include <utility>

#include <MNN/expr/ExecutorScope.hpp>

#include "core/heap.hpp"
#include "engine/driver.hpp"
#include "engine/library.hpp"
#include "engine/log_capture.hpp"
#include "engine/mnn_session.hpp"

namespace mnnlite {
namespace {

MNNForwardType forward_type(BackendKind kind) {
  switch (kind) {
    case BackendKind::cpu: return MNN_FORWARD_CPU;
    case BackendKind::opencl: return MNN_FORWARD_OPENCL;
    case BackendKind::opengl: return MNN_FORWARD_OPENGL;
    case BackendKind::vulkan: return MNN_FORWARD_VULKAN;
  }
  return MNN_FORWARD_CPU;
}

static_assert(kGpuTuning[static_cast<int>(Tuning::none)] == MNN_GPU_TUNING_NONE);
static_assert(kGpuTuning[static_cast<int>(Tuning::fast)] == MNN_GPU_TUNING_FAST);
static_assert(kGpuTuning[static_cast<int>(Tuning::wide)] == MNN_GPU_TUNING_WIDE);
static_assert(kGpuTuning[static_cast<int>(Tuning::heavy)] == MNN_GPU_TUNING_HEAVY);
static_assert(kGpuMemory[static_cast<int>(GpuMemory::buffer)] == MNN_GPU_MEMORY_BUFFER);
static_assert(kGpuMemory[static_cast<int>(GpuMemory::image)] == MNN_GPU_MEMORY_IMAGE);

// Sessions whose owner is gone, of all arenas: a list of their own links, so that letting one go needs no memory. Never
// destroyed, so that late finalizers find it.
struct DeferredDestroys {
  std::mutex mutex;
  std::atomic<MnnSession*> first{nullptr};  // written with the mutex held
};

// Its mutex may be held by a thread that a forked child does not have, and what lies in it is the parent's: the child has
// another one.
DeferredDestroys* instance = new DeferredDestroys;
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, [] { instance = new DeferredDestroys; });

DeferredDestroys& deferred_destroys() { return *instance; }

// Take out what belongs to `arena`, or everything if null: a list by next_retired.
MnnSession* take_deferred(const Arena* arena) noexcept {
  DeferredDestroys& deferred = deferred_destroys();
  if (!deferred.first.load(std::memory_order_acquire)) return nullptr;
  const std::lock_guard<std::mutex> guard(deferred.mutex);
  MnnSession *taken = nullptr, *kept = nullptr;
  for (MnnSession *session = deferred.first, *next = nullptr; session; session = next) {
    next = session->next_retired;
    MnnSession*& list = !arena || &session->arena() == arena ? taken : kept;
    session->next_retired = std::exchange(list, session);
  }
  deferred.first.store(kept, std::memory_order_release);
  return taken;
}

void defer_destroy(MnnSession* session) noexcept {
  DeferredDestroys& deferred = deferred_destroys();
  const std::lock_guard<std::mutex> guard(deferred.mutex);
  session->next_retired = deferred.first;
  deferred.first.store(session, std::memory_order_release);
}

}  // namespace

Status Arena::make(const ArenaOptions& options, std::shared_ptr<Arena>& result) noexcept try {
  MNNLITE_TRY(check_options(options));
  MNNLITE_TRY(may_start_engine(options.threads));
  if (is_gpu(options.backend)) MNNLITE_TRY(may_start_gpu(options.backend));
  const InEngine inside;
  if (options.weights == Weights::mapped) {
    MNNLITE_TRY(check_mapped_weights(options.weights_folder.c_str()));
  }
  const LogCapture log;
  std::shared_ptr<Arena> arena(new Arena);
  arena->options_ = options;
  arena->config_ = backend_config(options);
  const KeepAffinity affinity(options.power != Level::normal);
  const Status status = arena->start(options.backend);
  if (!status.ok()) {
    if (status.code != Code::backend_unavailable || !options.fallback_to_cpu) return status;
    arena->fell_back_ = status.text;
    arena->options_.tuning = Tuning::none;
    arena->options_.gpu_memory = GpuMemory::automatic;
    MNNLITE_TRY(arena->start(BackendKind::cpu));
  }
  result = std::move(arena);
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory for an arena");
}

Status Arena::start(BackendKind kind) {
  options_.backend = kind;
  const char* const word = word_of(options_, "backend");
  if (kind == BackendKind::opengl)
    return Status::error(Code::backend_unavailable,
                         "the engine's backend \"opengl\" is not usable (it refuses most networks, and computes others "
                         "wrong); use backend=\"opencl\", or \"cpu\"");
  const int32_t mode = is_gpu(kind) ? gpu_mode(options_) : options_.threads;
  executor_ = MNN::Express::Executor::newExecutor(forward_type(kind), config_, mode);
  if (executor_) {
    const MNN::Express::ExecutorScope scope(executor_);
    runtime_ = MNN::Express::Executor::getRuntime();
  }
  // Without a driver it makes none, or one around nothing.
  const auto found = runtime_.first.find(forward_type(kind));
  if (found == runtime_.first.end() || !found->second) {
    runtime_ = {};
    executor_.reset();
    if (!is_built_with(kind, engine_path()))
      return Status::error(
          Code::backend_unavailable,
          "the engine has no backend \"%s\"; use backend=\"cpu\", allow fallback=\"cpu\", or build mnnlite "
          "against an MNN SDK that has it",
          word);
    std::string reason;
    gpu_devices(kind, reason);
    return Status::error(Code::backend_unavailable, "the engine has backend \"%s\", but no driver: %.180s", word,
                         reason.empty() ? "that of the device refused" : reason.c_str());
  }
  // The CPU stands in for what the GPU lacks, as the second; among the first it would take the cache of kernels for its own.
  if (is_gpu(kind)) {
    runtime_.first.erase(MNN_FORWARD_CPU);
    gpu_started();
  }
  if (is_gpu(kind) && options_.power == Level::low &&
      executor_->getCurrentRuntimeStatus(MNN::STATUS_SUPPORT_POWER_LOW) == 0)
    return Status::error(
        Code::argument,
        "power is 'low', which this device of backend '%s' has not: the engine would take the CPU without "
        "a word; leave power away",
        word);
  half_ = kind == BackendKind::vulkan || executor_->getCurrentRuntimeStatus(MNN::STATUS_SUPPORT_FP16) != 0;
  return {};
}

Arena::~Arena() {
  if (!lock_.forked()) {
    const InEngine inside;
    // Freed here and not by the members' destructors, so that it also goes back to the system.
    runtime_ = {};
    executor_.reset();
    trim_heap();
    return;
  }
  // The child of a fork owns none of this: leave the engine's objects alone.
  new std::shared_ptr<MNN::Express::Executor>(std::move(executor_));
  new MNN::RuntimeInfo(std::move(runtime_));
}

MNN::ScheduleConfig schedule_config(const ArenaOptions& options, MNN::BackendConfig& config) noexcept {
  MNN::ScheduleConfig result;
  result.type = forward_type(options.backend);
  result.numThread = is_gpu(options.backend) ? gpu_mode(options) : options.threads;
  result.backendConfig = &config;
  return result;
}

MNN::BackendConfig backend_config(const ArenaOptions& options) noexcept {
  MNN::BackendConfig config;
  config.precision = static_cast<MNN::BackendConfig::PrecisionMode>(options.precision);
  config.memory = static_cast<MNN::BackendConfig::MemoryMode>(options.memory);
  config.power = static_cast<MNN::BackendConfig::PowerMode>(options.power);
  return config;
}

// The engine hands hints over to a runtime only where a session is created: one of a network of two operators, which is never
// planned.
Status Arena::hint(Winograd level) noexcept {
  if (level == hint_) return {};
  struct Destroy {
    void operator()(MNN::Interpreter* interpreter) const { MNN::Interpreter::destroy(interpreter); }
  };
  const std::unique_ptr<MNN::Interpreter, Destroy> probe(
      MNN::Interpreter::createFromBuffer(probe_model().data, probe_model().size));
  if (!probe) return Status::error(Code::out_of_memory, "no memory to plan the network");
  probe->setSessionMode(MNN::Interpreter::Session_Input_User);
  probe->setSessionHint(MNN::Interpreter::WINOGRAD_MEMORY_LEVEL, static_cast<int>(level));
  const MNN::ScheduleConfig config = schedule_config(options_, config_);
  MNN::Session* const session = probe->createSession(config, runtime_);
  if (!session) return Status::error(Code::out_of_memory, "no memory to plan the network");
  probe->releaseSession(session);
  hint_ = level;
  return {};
}

void Arena::shrink() noexcept {
  const InEngine inside;
  executor_->gc(MNN::Express::Executor::FULL);
  room_ = 0;
  trim_heap();
}

void Arena::make_room(size_t dynamic_bytes) noexcept {
  if (dynamic_bytes <= room_) return;
  if (room_ > 0) {
    executor_->gc(MNN::Express::Executor::FULL);
    trim_heap();  // or the smaller buffer stays, as a hole that the larger one does not fit
  }
  room_ = dynamic_bytes;
}

void Arena::destroy_deferred() noexcept {
  for (MnnSession* session = take_deferred(this); session;) delete std::exchange(session, session->next_retired);
}

void Arena::destroy_deferred_idle() noexcept {
  for (MnnSession *next = nullptr, *session = take_deferred(nullptr); session; session = next) {
    next = session->next_retired;
    const std::shared_ptr<Arena> arena = session->arena().shared_from_this();
    const ExclusiveGuard guard(arena->lock());
    if (guard.status().ok())
      delete session;
    else
      defer_destroy(session);
  }
}

void Arena::retire(MnnSession* session) noexcept {
  const std::shared_ptr<Arena> arena = session->arena().shared_from_this();
  if (arena->lock().forked()) return;
  if (arena->owner_.load() == std::this_thread::get_id()) {
    const ExclusiveGuard guard(arena->lock());
    if (guard.status().ok()) {
      delete session;
      trim_heap();
      return;
    }
  }
  defer_destroy(session);
}

KeepAffinity::KeepAffinity(bool wanted) noexcept {
  static_assert(sizeof mask_ >= sizeof(cpu_set_t));
  if (wanted) saved_ = ::sched_getaffinity(0, sizeof(cpu_set_t), reinterpret_cast<cpu_set_t*>(mask_)) == 0;
}

KeepAffinity::~KeepAffinity() {
  if (saved_) ::sched_setaffinity(0, sizeof(cpu_set_t), reinterpret_cast<const cpu_set_t*>(mask_));
}

}  // namespace mnnlite
