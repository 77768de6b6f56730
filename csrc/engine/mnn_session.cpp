#include "engine/mnn_session.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "core/heap.hpp"
#include "engine/branches.hpp"
#include "engine/log_capture.hpp"
#include "engine/mnn_status.hpp"
#include "engine/preemption.hpp"
#include "engine/suggest.hpp"
#include "engine/tensors.hpp"
#include "engine/tracer.hpp"
#include "engine/verify_shapes.hpp"

namespace mnnlite {
namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::vector<std::string> names_of(const std::map<std::string, MNN::Tensor*>& tensors) {
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.first);
  return names;
}

void shape_text(const TensorView& view, char* text, size_t size) {
  size_t length = 0;
  text[0] = 0;
  for (int axis = 0; axis < view.rank && length < size; ++axis)
    length += static_cast<size_t>(std::snprintf(text + length, size - length, axis ? ", %d" : "%d", view.dims[axis]));
}

// A shape as the command line takes it: what is fixed, and something usual for what is open.
void example_text(const TensorView& view, char* text, size_t size) {
  size_t length = 0;
  text[0] = 0;
  for (int axis = 0; axis < view.rank && length < size; ++axis) {
    const int32_t extent = view.dims[axis] > 0 ? view.dims[axis] : axis == 0 ? 1 : 224;
    length += static_cast<size_t>(std::snprintf(text + length, size - length, axis ? "x%d" : "%d", extent));
  }
}

// What belongs to the runtime cannot be another for one session: the engine would take the runtime's without a word.
Status check_shared(const ArenaOptions& wanted, const ArenaOptions& has) {
  if (wanted.threads != has.threads)
    return Status::error(Code::argument,
                         "threads is %d but the arena has %d; models with other threads need another arena",
                         wanted.threads, has.threads);
  for (const char* name : {"backend", "power", "tuning", "gpu_memory"})
    if (std::strcmp(word_of(wanted, name), word_of(has, name)) != 0)
      return Status::error(Code::argument, "%s is '%s' but the arena has '%s'; models with another need another arena",
                           name, word_of(wanted, name), word_of(has, name));
  return {};
}

}  // namespace

MnnSession::MnnSession(Net net, std::shared_ptr<Arena> arena, const ArenaOptions& engine)
    : net_(std::move(net)), arena_(std::move(arena)), engine_(engine), config_(backend_config(engine)) {}

Status MnnSession::load(Net net, std::shared_ptr<Arena> arena, const SessionOptions& options, StageTimes& times,
                        std::unique_ptr<MnnSession>& result) noexcept try {
  Arena& shared = *arena;
  const ArenaOptions& engine = options.engine ? *options.engine : shared.options();
  MNNLITE_TRY(check_shared(engine, shared.options()));
  MNNLITE_TRY(check_options(engine));
  const LogCapture log;
  const InEngine inside;
  const KeepAffinity affinity(shared.options().power != Level::normal);
  const int64_t begin = now_ns();
  shared.destroy_deferred();
  // Planning may grow the shared buffer, which must start from nothing (Arena::make_room). What is then allocated is not
  // yet touched, so the price is one mapping.
  shared.shrink();

  std::unique_ptr<MnnSession> session(new MnnSession(std::move(net), std::move(arena), engine));
  const bool filed = engine.weights == Weights::mapped;
  if (filed) MNNLITE_TRY(check_mapped_weights(engine.weights_folder.c_str()));
  const WeightBlocks::Collect collect(session->weights_, engine.weights);
  MNN::ScheduleConfig config = schedule_config(shared.options(), session->config_);
  if (!options.outputs.empty()) {
    config.path.mode = MNN::ScheduleConfig::Path::Tensor;
    config.path.outputs = session->branch_ = options.outputs;
    session->all_outputs_ = false;
  }
  MNN::Interpreter& interpreter = session->net_.interpreter();
  interpreter.setSessionHint(MNN::Interpreter::WINOGRAD_MEMORY_LEVEL, static_cast<int>(engine.winograd));
  const bool cached = is_gpu(shared.options().backend) && !options.cache_file.empty();
  if (cached) interpreter.setCacheFile(options.cache_file.c_str());
  session->session_ = interpreter.createSession(config, shared.runtime());
  shared.hinted(engine.winograd);
  if (!session->session_) {
    if (!options.outputs.empty()) MNNLITE_TRY(session->check_names(options.outputs));
    const bool content = std::strstr(log.text(), "use module api") != nullptr;
    return Status::error(Code::unsupported_model,
                         content ? "the network computes shapes from the content of its input, which the engine's "
                                   "sessions do not support; export it with fixed shapes%s"
                                 : "the engine could not create a session for the network%s",
                         content ? "" : EngineMessage(log).text());
  }
  MNNLITE_TRY(session->find_tensors(options.outputs));
  MNNLITE_TRY(session->set_shapes(options.shapes));
  MNNLITE_TRY(session->set_images(options.images));
  MNNLITE_TRY(session->prepare());
  if (cached) interpreter.updateCacheFile(session->session_);
  times.create_session = now_ns() - begin;
  if (options.on_stage) options.on_stage("create_session");

  const int64_t release = now_ns();
  if (!options.keep_model_buffer) session->net_.release_buffer();
  if (filed) MNNLITE_TRY(session->file_weights());
  trim_heap();
  times.release_model_buffer = now_ns() - release;
  if (options.on_stage) options.on_stage("release_model_buffer");
  result = std::move(session);
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to create a session");
}

Status MnnSession::file_weights() {
  const Status status = weights_.move_to_file(engine_.weights_folder.c_str());
  need_.file_bytes = std::min(weights_.file_bytes(), need_.static_bytes);
  return status;
}

MnnSession::~MnnSession() {
  const InEngine inside;
  if (session_) net_.interpreter().releaseSession(session_);
  arena_->set_static_bytes(arena_->static_bytes() - std::min(arena_->static_bytes(), counted_static_));
}

size_t MnnSession::engine_bytes() const {
  float megabytes = 0;
  net_.interpreter().getSessionInfo(session_, MNN::Interpreter::MEMORY, &megabytes);
  return static_cast<size_t>(std::llround(static_cast<double>(megabytes) * 1024 * 1024));
}

Status MnnSession::find_tensors(const std::vector<std::string>& wanted) {
  MNN::Interpreter& interpreter = net_.interpreter();
  for (const auto& [name, tensor] : interpreter.getSessionInputAll(session_)) {
    Input input;
    input.name = name;
    input.tensor = tensor;
    inputs_.push_back(std::move(input));
  }
  const auto& outputs = interpreter.getSessionOutputAll(session_);
  for (const auto& [name, tensor] : outputs) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), name) == wanted.end()) continue;
    Output output;
    output.name = name;
    output.tensor = tensor;
    outputs_.push_back(std::move(output));
  }
  for (const std::string& name : wanted)
    if (outputs.find(name) == outputs.end()) return unknown_name("output", name.c_str(), names_of(outputs));
  if (inputs_.empty()) return Status::error(Code::unsupported_model, "the network has no input");
  if (outputs_.empty()) return Status::error(Code::unsupported_model, "the network has no output");
  return {};
}

// A branch that could not be made: because there are no such outputs? A session of the whole network tells.
Status MnnSession::check_names(const std::vector<std::string>& wanted) {
  MNN::ScheduleConfig config;
  config.backendConfig = &config_;
  MNN::Interpreter& interpreter = net_.interpreter();
  MNN::Session* whole = interpreter.createSession(config, arena_->runtime());
  if (!whole) return {};
  const std::vector<std::string> known = names_of(interpreter.getSessionOutputAll(whole));
  interpreter.releaseSession(whole);
  for (const std::string& name : wanted)
    if (std::find(known.begin(), known.end(), name) == known.end()) return unknown_name("output", name.c_str(), known);
  return {};
}

Status MnnSession::find_input(const std::string& name, Input** input) {
  for (Input& each : inputs_)
    if (each.name == name) return *input = &each, Status{};
  std::vector<std::string> known;
  for (const Input& each : inputs_) known.push_back(each.name);
  return unknown_name("input", name.c_str(), known);
}

Status MnnSession::set_images(const std::vector<ImageHint>& images) {
  for (const ImageHint& image : images) {
    Input* input = &inputs_.front();
    if (!image.input.empty()) {
      MNNLITE_TRY(find_input(image.input, &input));
    } else if (inputs_.size() > 1) {
      return Status::error(Code::argument,
                           "the network has %zu inputs; say which one takes the image: image={\"%.60s\": ...}",
                           inputs_.size(), input->name.c_str());
    }
    const halide_buffer_t& buffer = input->tensor->buffer();
    if (buffer.dimensions != 4) continue;  // the image plan says what it needs
    const bool nhwc = image.layout == Layout::plain ? input->tensor->getDimensionType() == MNN::Tensor::TENSORFLOW
                                                    : image.layout == Layout::nhwc;
    const int32_t wanted[4] = {image.batch, nhwc ? image.height : image.channels, nhwc ? image.width : image.height,
                               nhwc ? image.channels : image.width};
    std::vector<int> dims;
    for (int axis = 0; axis < 4; ++axis)
      dims.push_back(axis == 0 || buffer.dim[axis].extent < 1 ? wanted[axis] : buffer.dim[axis].extent);
    if (*std::min_element(dims.begin(), dims.end()) >= 1) net_.interpreter().resizeTensor(input->tensor, dims);
  }
  return {};
}

Status MnnSession::set_shapes(const std::vector<InputShape>& shapes) {
  for (const InputShape& shape : shapes) {
    Input* found = nullptr;
    MNNLITE_TRY(find_input(shape.name, &found));
    if (shape.dims.empty() || shape.dims.size() > MNNLITE_MAX_RANK)
      return Status::error(Code::argument, "the shape of input \"%.60s\" has %zu axes; 1 to %d are possible",
                           shape.name.c_str(), shape.dims.size(), MNNLITE_MAX_RANK);
    int64_t elements = 1;
    for (int32_t extent : shape.dims) {
      if (extent < 1)
        return Status::error(Code::argument,
                             "the shape of input \"%.60s\" has an axis of %d; every axis must be at least 1",
                             shape.name.c_str(), extent);
      elements *= extent;
      if (elements > (int64_t{1} << 28))
        return Status::error(Code::argument, "the shape of input \"%.60s\" has more than 2^28 elements",
                             shape.name.c_str());
    }
    const int rank = found->tensor->buffer().dimensions;
    if (rank > 0 && static_cast<int>(shape.dims.size()) != rank)
      return Status::error(Code::argument, "the shape of input \"%.60s\" has %zu axes; the network's has %d",
                           shape.name.c_str(), shape.dims.size(), rank);
    net_.interpreter().resizeTensor(found->tensor, shape.dims);
  }
  return {};
}

Status MnnSession::check_shapes() const {
  std::vector<NamedShape> shapes;
  for (const Input& input : inputs_)
    shapes.push_back({input.name, {input.view.dims, input.view.dims + input.view.rank}});
  return verify_shapes(net_.interpreter().getModelBuffer().first, shapes, branch_);
}

Status MnnSession::prepare() {
  const LogCapture log;
  MNN::Interpreter& interpreter = net_.interpreter();
  branches_.clear();
  need_ = SessionNeed{};
  for (Input& input : inputs_) MNNLITE_TRY(describe_input(input));
  MNNLITE_TRY(check_shapes());
  MNNLITE_TRY(arena_->hint(engine_.winograd));
  interpreter.resizeSession(session_);
  int status = 2;
  interpreter.getSessionInfo(session_, MNN::Interpreter::RESIZE_STATUS, &status);
  if (status != 0) {
    arena_->shrink();
    // Failed operators say so; memory that was not to be had leaves the plan undone without a word.
    const bool silent = *EngineMessage(log).text() == 0;
    if (silent || std::strstr(log.text(), "lloc"))
      return Status::error(Code::out_of_memory, "the engine got no memory for the network's tensors%s",
                           EngineMessage(log).text());
    return Status::error(Code::unsupported_model, "the engine cannot execute the network%s", EngineMessage(log).text());
  }
  const size_t with_dynamic = engine_bytes();
  for (Output& output : outputs_) MNNLITE_TRY(describe_output(output));

  arena_->shrink();
  const size_t without_dynamic = engine_bytes();
  need_.counted = !is_gpu(arena_->options().backend);
  if (!need_.counted) return finish_plan();
  need_.dynamic_bytes = with_dynamic - std::min(with_dynamic, without_dynamic);
  // What the runtime holds beyond the other sessions' static memory is this one's.
  const size_t others = arena_->static_bytes() - std::min(arena_->static_bytes(), std::exchange(counted_static_, 0));
  need_.static_bytes = without_dynamic - std::min(without_dynamic, others);
  counted_static_ = need_.static_bytes;
  arena_->set_static_bytes(others + need_.static_bytes);
  return finish_plan();
}

Status MnnSession::finish_plan() {
  MNN::Interpreter& interpreter = net_.interpreter();
  for (const Output& output : outputs_) need_.output_bytes += stored_bytes(output.view);

  interpreter.getSessionInfo(session_, MNN::Interpreter::FLOPS, &mflops_);
  int backends[8] = {};
  interpreter.getSessionInfo(session_, MNN::Interpreter::BACKENDS, backends);
  std::snprintf(backend_, sizeof backend_, "%s", backend_word(backends[0]));
  const bool asked_cpu = arena_->options().backend == BackendKind::cpu;
  if (!asked_cpu && std::strcmp(backend_, "cpu") == 0)
    return Status::error(
        Code::backend_unavailable,
        "the engine put the network on the CPU although another backend was asked for; use backend=\"cpu\"");
  return {};
}

Status MnnSession::describe_input(Input& input) {
  MNNLITE_TRY(describe_tensor(*input.tensor, input.name.c_str(), input.view));
  for (int axis = 0; axis < input.view.rank; ++axis)
    if (input.view.dims[axis] < 1) {
      char shape[80], example[80];
      shape_text(input.view, shape, sizeof shape);
      example_text(input.view, example, sizeof example);
      return Status::error(Code::argument,
                           "input \"%.60s\" has no fixed shape (%s); say it with shapes={\"%.60s\": (...)}, on the "
                           "command line with --shape %.60s=%s",
                           input.name.c_str(), shape, input.name.c_str(), input.name.c_str(), example);
    }
  input.plain = input.view;
  if (is_packed(*input.tensor)) input.view.layout = MNNLITE_NC4HW4;
  const size_t bytes = stored_bytes(input.view);
  const bool fresh = bytes > input.memory.size() || input.memory.data() == nullptr;
  if (!input.memory.reserve(bytes))
    return Status::error(Code::out_of_memory, "no memory for input \"%.60s\" (%zu bytes)", input.name.c_str(), bytes);
  if (fresh) std::memset(input.memory.data(), 0, input.memory.size());
  input.view.data = input.memory.data();
  input.tensor->buffer().host = static_cast<uint8_t*>(input.view.data);
  if (input.view.layout == MNNLITE_NC4HW4) {
    input.plain.layout = input.view.rank == 4 ? MNNLITE_NCHW : MNNLITE_PLAIN;
    input.plain.data = nullptr;
    if (input.staging.data()) {
      input.staging = Block{};
      MNNLITE_TRY(stage_input(static_cast<int>(&input - inputs_.data())));
    }
  } else {
    input.plain = input.view;
  }
  need_.input_bytes += bytes;
  return {};
}

// What lies at an output's memory is proven, not believed: `map` hands out the memory itself only if element size and
// layout are the tensor's declared ones; halves behind a declared float32 are told by converting a known pattern.
Status MnnSession::describe_output(Output& output) {
  MNNLITE_TRY(describe_tensor(*output.tensor, output.name.c_str(), output.view));
  for (int axis = 0; axis < output.view.rank; ++axis)
    if (output.view.dims[axis] < 0)
      return Status::error(Code::unsupported_model,
                           "output \"%.60s\" has no fixed shape: it depends on the content of the input",
                           output.name.c_str());
  const bool packed = is_packed(*output.tensor);
  uint8_t* const host = output.tensor->buffer().host;
  const MNN::Tensor::DimensionType order = output.tensor->getDimensionType();
  output.host.reset();

  if (host && !packed && stored_bytes(output.view) > 0) {
    void* mapped = output.tensor->map(MNN::Tensor::MAP_TENSOR_READ, order);
    if (mapped == host) {
      output.view.data = host;
      return {};
    }
    if (mapped) output.tensor->unmap(MNN::Tensor::MAP_TENSOR_READ, order, mapped);
  }
  // The engine converts into memory of ours, in plain order.
  const MNN::Tensor::DimensionType plain =
      order == MNN::Tensor::TENSORFLOW ? MNN::Tensor::TENSORFLOW : MNN::Tensor::CAFFE;
  output.host.reset(MNN::Tensor::create(output.tensor->shape(), output.tensor->buffer().type, nullptr, plain));
  if (!output.host || !output.host->buffer().host)
    return Status::error(Code::out_of_memory, "no memory for output \"%.60s\"", output.name.c_str());
  if (host && !packed && dtype_of(output.view) == DType::f32 && computes_in_half()) {
    const uint16_t kOne = 0x3c00, kMinusTwo = 0xc000;  // IEEE binary16
    float first[2];
    const uint16_t* patterns[2] = {&kOne, &kMinusTwo};
    for (int i = 0; i < 2; ++i) {
      std::memcpy(host, patterns[i], sizeof(uint16_t));
      output.tensor->copyToHostTensor(output.host.get());
      std::memcpy(&first[i], output.host->buffer().host, sizeof(float));
    }
    if (first[0] == 1.0f && first[1] == -2.0f) {
      output.view.dtype = MNNLITE_F16;
      output.view.data = host;
      output.host.reset();
      return {};
    }
  }
  output.view.data = output.host->buffer().host;
  return {};
}

TensorView MnnSession::input(int index) const noexcept { return inputs_[static_cast<size_t>(index)].view; }

TensorView MnnSession::plain_input(int index) const noexcept { return inputs_[static_cast<size_t>(index)].plain; }

bool MnnSession::input_is_direct(int index) const noexcept {
  return inputs_[static_cast<size_t>(index)].view.layout != MNNLITE_NC4HW4;
}

void MnnSession::use_input_memory(int index, void* memory) noexcept {
  Input& input = inputs_[static_cast<size_t>(index)];
  if (input.memory.data()) need_.input_bytes -= stored_bytes(input.view);
  input.memory = Block{};
  input.view.data = memory;
  input.tensor->buffer().host = static_cast<uint8_t*>(memory);
  if (input_is_direct(index)) input.plain.data = memory;
}

Status MnnSession::stage_input(int index) noexcept {
  Input& input = inputs_[static_cast<size_t>(index)];
  if (input_is_direct(index) || input.plain.data) return {};
  const size_t bytes = stored_bytes(input.plain);
  if (!input.staging.reserve(bytes))
    return Status::error(Code::out_of_memory, "no memory to stage input \"%.60s\" (%zu bytes)", input.name.c_str(),
                         bytes);
  std::memset(input.staging.data(), 0, bytes);
  input.plain.data = input.staging.data();
  need_.input_bytes += bytes;
  return {};
}

namespace {

// NCHW -> NC4HW4; all dtypes of inputs are read as units of their size.
template <typename T>
void pack_channels(const TensorView& plain, const TensorView& packed) {
  size_t area = 1;
  for (int axis = 2; axis < plain.rank; ++axis) area *= static_cast<size_t>(plain.dims[axis]);
  const size_t channels = static_cast<size_t>(plain.dims[1]), groups = (channels + 3) / 4;
  const T* source = static_cast<const T*>(plain.data);
  T* target = static_cast<T*>(packed.data);
  for (size_t item = 0; item < static_cast<size_t>(plain.dims[0]); ++item)
    for (size_t channel = 0; channel < channels; ++channel) {
      const T* from = source + (item * channels + channel) * area;
      T* to = target + (item * groups + channel / 4) * area * 4 + channel % 4;
      for (size_t i = 0; i < area; ++i) to[i * 4] = from[i];
    }
}

}  // namespace

Status MnnSession::lost() noexcept {
  return Status::error(Code::engine, "the engine could neither resize the network nor take it back; close the model");
}

Status MnnSession::run(OutputMask wanted) noexcept { return run(wanted, nullptr); }

Status MnnSession::run(OutputMask wanted, Trace* trace) noexcept try {
  if (lost_) return lost();
  const LogCapture log;
  const KeepAffinity affinity(arena_->options().power != Level::normal);
  arena_->destroy_deferred();
  for (Input& input : inputs_) {
    if (!input.staging.data()) continue;
    size_of(dtype_of(input.view)) == 4 ? pack_channels<uint32_t>(input.plain, input.view)
                                       : pack_channels<uint8_t>(input.plain, input.view);
  }
  const OutputMask all = outputs_.size() >= kOutputBits ? kAllOutputs : (OutputMask{1} << outputs_.size()) - 1;
  const bool partial = (wanted & all) != all;
  if (partial && branches_.empty()) MNNLITE_TRY(find_branches());
  arena_->make_room(need_.dynamic_bytes);

  if (partial) select(wanted);
  MNN::ErrorCode code = execute(partial, trace);
  if (code == MNN::OUT_OF_MEMORY) {
    // What malloc holds free may be all that is missing.
    arena_->shrink();
    arena_->make_room(need_.dynamic_bytes);
    code = execute(partial, trace);
  }
  if (code != MNN::NO_ERROR) {
    if (code == MNN::OUT_OF_MEMORY) arena_->lost_room();
    return mnn_status(code, "run the network", log);
  }
  for (size_t output = 0; output < outputs_.size(); ++output) {
    Output& each = outputs_[output];
    if (!each.host || !wants(wanted, output)) continue;
    if (!each.tensor->copyToHostTensor(each.host.get()))
      return Status::error(Code::engine, "the engine could not convert output \"%.60s\"%s", each.name.c_str(),
                           EngineMessage(log).text());
  }
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to choose the operators of a branch");
}

// Which operators the wanted outputs need.
void MnnSession::select(OutputMask wanted) {
  std::fill(selected_.begin(), selected_.end(), uint8_t{0});
  for (size_t output = 0; output < outputs_.size(); ++output)
    if (wants(wanted, output))
      for (size_t op = 0; op < selected_.size(); ++op) selected_[op] |= branches_[output][op];
}

MNN::ErrorCode MnnSession::execute(bool partial, Trace* trace) {
  if (trace) {
    Tracer tracer(net_.interpreter(), session_, partial ? &selected_ : nullptr, *trace);
    const MNN::ErrorCode code = tracer.run();
    return tracer.out_of_memory() ? MNN::OUT_OF_MEMORY : code;
  }
  PreemptionPoint* const point = PreemptionPoint::current();
  if (!partial && !point) return net_.interpreter().runSession(session_);
  struct Position {
    const std::vector<uint8_t>* selected;  // null: all
    PreemptionPoint* point;
    size_t next;
  } position{partial ? &selected_ : nullptr, point, 0};
  // One pointer is captured, so that std::function allocates nothing.
  const MNN::TensorCallBackWithInfo before = [&position](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo*) {
    if (position.point) position.point->pass();
    if (!position.selected) return true;
    const size_t op = position.next++;
    return op >= position.selected->size() || (*position.selected)[op] != 0;
  };
  const MNN::TensorCallBackWithInfo after = [](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo*) {
    return true;
  };
  return net_.interpreter().runSessionWithCallBackInfo(session_, before, after);
}

Status MnnSession::find_branches() {
  const LogCapture log;
  BranchMap map;
  bool failed = false;
  std::vector<const void*> inputs;
  std::vector<BranchMap::Shape> input_shapes;
  const auto look = [](const std::vector<MNN::Tensor*>& tensors, std::vector<const void*>& pointers,
                       std::vector<BranchMap::Shape>& shapes) {
    pointers.assign(tensors.begin(), tensors.end());
    shapes.clear();
    for (const MNN::Tensor* tensor : tensors) {
      const halide_buffer_t& buffer = tensor->buffer();
      BranchMap::Shape shape;
      shape.type = static_cast<int32_t>(buffer.type.code) * 256 + buffer.type.bits;
      for (int axis = 0; axis < buffer.dimensions; ++axis) shape.dims.push_back(buffer.dim[axis].extent);
      shapes.push_back(std::move(shape));
    }
  };
  // No exception may leave a callback: the engine is built without them.
  const MNN::TensorCallBackWithInfo before = [&](const std::vector<MNN::Tensor*>& tensors, const MNN::OperatorInfo*) {
    try {
      look(tensors, inputs, input_shapes);
    } catch (...) {
      failed = true;
    }
    return false;  // nothing is executed
  };
  const MNN::TensorCallBackWithInfo after = [&](const std::vector<MNN::Tensor*>& tensors, const MNN::OperatorInfo*) {
    try {
      std::vector<const void*> outputs;
      std::vector<BranchMap::Shape> output_shapes;
      look(tensors, outputs, output_shapes);
      map.add(inputs, outputs, input_shapes, output_shapes);
    } catch (...) {
      failed = true;
    }
    return !failed;
  };
  arena_->make_room(need_.dynamic_bytes);
  const MNN::ErrorCode code = net_.interpreter().runSessionWithCallBackInfo(session_, before, after);
  if (failed) return Status::error(Code::out_of_memory, "no memory to find the network's branches");
  MNNLITE_TRY(mnn_status(code, "list the network's operators", log));

  std::vector<MNN::Tensor*> tensors;
  for (const Output& output : outputs_) tensors.push_back(output.tensor);
  std::vector<const void*> outputs, network_inputs;
  std::vector<BranchMap::Shape> shapes;
  look(tensors, outputs, shapes);
  for (const Input& input : inputs_) network_inputs.push_back(input.tensor);
  selected_.assign(map.operators(), 0);
  branches_ = map.needed(outputs, shapes, network_inputs);
  return {};
}

Status MnnSession::operators(std::vector<Operator>& result) noexcept {
  if (lost_) return lost();
  const LogCapture log;
  bool failed = false;
  const MNN::TensorCallBackWithInfo before = [](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo*) {
    return false;
  };
  const MNN::TensorCallBackWithInfo after = [&](const std::vector<MNN::Tensor*>&, const MNN::OperatorInfo* info) {
    try {
      result.push_back({info->name(), info->type(), info->flops()});
    } catch (...) {
      failed = true;
    }
    return !failed;
  };
  arena_->make_room(need_.dynamic_bytes);
  const MNN::ErrorCode code = net_.interpreter().runSessionWithCallBackInfo(session_, before, after);
  if (failed) return Status::error(Code::out_of_memory, "no memory to list the operators");
  return mnn_status(code, "list the network's operators", log);
}

Status MnnSession::plan(Trace& trace, std::vector<std::vector<uint8_t>>& branches) noexcept try {
  if (lost_) return lost();
  const LogCapture log;
  if (branches_.empty()) MNNLITE_TRY(find_branches());
  branches = branches_;
  trace.execute = false;
  arena_->make_room(need_.dynamic_bytes);
  return mnn_status(execute(false, &trace), "list the network's operators", log);
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to list the operators");
}

SessionNeed MnnSession::need() const noexcept { return need_; }

Status MnnSession::resize(const std::vector<InputShape>& shapes) noexcept try {
  if (net_.released())
    return Status::error(
        Code::state,
        "the model buffer was released, so the network cannot be resized; load it with resizable=True, "
        "or with shapes={...} at once");
  if (lost_) return lost();
  if (has_shapes(shapes)) return {};  // the engine would plan nothing anew, and its need could not be measured
  const LogCapture log;
  const InEngine inside;
  const KeepAffinity affinity(arena_->options().power != Level::normal);
  arena_->destroy_deferred();
  arena_->shrink();
  std::vector<InputShape> before;
  for (const Input& input : inputs_)
    before.push_back({input.name, {input.view.dims, input.view.dims + input.view.rank}});
  const bool filed = engine_.weights == Weights::mapped;
  const WeightBlocks::Collect collect(weights_, engine_.weights);
  ++generation_;
  Status status = replan(shapes);
  if (status.ok() && filed) status = file_weights();
  if (!status.ok()) {
    // The network goes on with the shapes it had.
    lost_ = !replan(before).ok();
    if (lost_) status = lost();
  }
  return status;
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to resize the network");
}

bool MnnSession::has_shapes(const std::vector<InputShape>& shapes) const noexcept {
  return std::all_of(shapes.begin(), shapes.end(), [&](const InputShape& wanted) {
    return std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& input) {
      const TensorView& now = input.view;
      return input.name == wanted.name && static_cast<size_t>(now.rank) == wanted.dims.size() &&
             std::equal(wanted.dims.begin(), wanted.dims.end(), now.dims);
    });
  });
}

Status MnnSession::replan(const std::vector<InputShape>& shapes) noexcept try {
  MNNLITE_TRY(set_shapes(shapes));
  return prepare();
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to plan the network");
}

Status MnnSession::resize_input(int index, const int32_t* dims) noexcept try {
  const Input& input = inputs_[static_cast<size_t>(index)];
  return resize({{input.name, {dims, dims + input.view.rank}}});
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to resize the network");
}

}  // namespace mnnlite
