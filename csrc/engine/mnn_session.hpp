// A network of MNN that is ready to run, free of the engine's traps by construction: input memory is ours, outputs lie
// outside the shared buffer, and every return code is checked.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/memory.hpp"
#include "engine/arena.hpp"
#include "engine/net.hpp"
#include "engine/session.hpp"
#include "engine/trace.hpp"
#include "engine/weights.hpp"

namespace mnnlite {

struct InputShape {
  std::string name;
  std::vector<int32_t> dims;
};

// A picture that an input is for: fills in the axes that the file leaves open, and the batch. No axis that the file
// fixes is changed but the batch.
struct ImageHint {
  std::string input;  // empty: the network's only input
  int32_t width = 0, height = 0, channels = 0, batch = 1;
  Layout layout = Layout::plain;  // plain: the tensor's own
};

struct SessionOptions {
  std::vector<std::string> outputs;  // only the branch that leads to these; empty: all
  std::vector<InputShape> shapes;    // inputs to resize before memory is planned
  std::vector<ImageHint> images;     // applied after shapes
  bool keep_model_buffer = false;    // so that resize() works
  // Precision, memory mode, Winograd and weights of this session alone. Null: the arena's. What it says of an arena (backend,
  // power, threads) must be the arena's.
  const ArenaOptions* engine = nullptr;
  std::string
      cache_file;  // of a GPU: kernels and what they were tuned to, read before and written anew if there is more
  std::function<void(const char*)> on_stage;  // called after each stage of loading, to measure; must not throw
};

struct StageTimes {  // nanoseconds
  int64_t deserialize = 0, create_session = 0, release_model_buffer = 0;
};

class MnnSession final : public Session {
 public:
  static Status load(Net net, std::shared_ptr<Arena> arena, const SessionOptions& options, StageTimes& times,
                     std::unique_ptr<MnnSession>& result) noexcept;
  ~MnnSession() override;

  int input_count() const noexcept override { return static_cast<int>(inputs_.size()); }
  int output_count() const noexcept override { return static_cast<int>(outputs_.size()); }
  TensorView input(int index) const noexcept override;
  TensorView plain_input(int index) const noexcept override;
  bool input_is_direct(int index) const noexcept override;
  Status stage_input(int index) noexcept override;
  void use_input_memory(int index, void* memory) noexcept override;
  TensorView output(int index) const noexcept override { return outputs_[static_cast<size_t>(index)].view; }
  Status run(OutputMask wanted) noexcept override;
  // The same, and what each operator did; callbacks around every operator make it slower. Null: not traced.
  Status run(OutputMask wanted, Trace* trace) noexcept;
  SessionNeed need() const noexcept override;
  uint32_t generation() const noexcept override { return generation_; }
  ExclusiveLock& lock() noexcept override { return arena_->lock(); }

  // Shapes of some inputs; all others stay. Views of inputs and outputs end here, also where it fails. lock() held.
  Status resize(const std::vector<InputShape>& shapes) noexcept;
  Status resize_input(int index, const int32_t* dims) noexcept override;

  Arena& arena() const noexcept { return *arena_; }
  const Net& net() const noexcept { return net_; }
  float mflops() const noexcept { return mflops_; }
  const char* backend() const noexcept { return backend_; }
  bool computes_in_half() const noexcept { return arena_->computes_in_half(engine_.precision); }
  const WeightBlocks& weights() const noexcept { return weights_; }

  MnnSession* next_retired = nullptr;  // the list that Arena::retire keeps

  // Operators in execution order with their type and MFLOP, by one pass that executes none. lock() held.
  struct Operator {
    std::string name, type;
    float mflops;
  };
  Status operators(std::vector<Operator>& result) noexcept;
  // The same with tensors and backends, and for each output which operators it needs, as one byte an operator. lock() held.
  Status plan(Trace& trace, std::vector<std::vector<uint8_t>>& branches) noexcept;

 private:
  struct Input {
    std::string name;
    MNN::Tensor* tensor;
    TensorView view;   // the network's own memory and layout
    TensorView plain;  // staging for packed layouts
    Block memory, staging;
  };
  struct DestroyTensor {
    void operator()(MNN::Tensor* tensor) const noexcept { MNN::Tensor::destroy(tensor); }
  };
  struct Output {
    std::string name;
    MNN::Tensor* tensor;
    TensorView view;
    std::unique_ptr<MNN::Tensor, DestroyTensor>
        host;  // what the engine converts into, where its own memory is not plain
  };

  MnnSession(Net net, std::shared_ptr<Arena> arena, const ArenaOptions& engine);
  Status find_tensors(const std::vector<std::string>& outputs);
  Status check_names(const std::vector<std::string>& outputs);
  Status set_shapes(const std::vector<InputShape>& shapes);
  Status set_images(const std::vector<ImageHint>& images);
  Status find_input(const std::string& name, Input** input);
  Status check_shapes() const;  // of the inputs, against the model that the engine holds
  bool has_shapes(const std::vector<InputShape>& shapes) const noexcept;  // the inputs have them already
  Status replan(const std::vector<InputShape>& shapes) noexcept;
  Status prepare();      // memory for the inputs, the engine's plan for the rest, views of the outputs
  Status finish_plan();  // what it became: outputs, operations, backend
  Status describe_input(Input& input);
  Status describe_output(Output& output);
  Status find_branches();
  Status file_weights();
  static Status lost() noexcept;
  void select(OutputMask wanted);
  MNN::ErrorCode execute(bool partial, Trace* trace);
  size_t engine_bytes() const;  // static and dynamic of the whole runtime

  Net net_;
  std::shared_ptr<Arena> arena_;
  const ArenaOptions engine_;  // its own and the arena's
  MNN::BackendConfig config_;  // the engine keeps a pointer to it
  MNN::Session* session_ = nullptr;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  bool all_outputs_ = true;
  std::vector<std::string> branch_;  // only what leads to these is planned; empty: all
  SessionNeed need_;
  WeightBlocks weights_;
  size_t counted_static_ = 0;  // of arena_->static_bytes()
  uint32_t generation_ = 0;
  bool lost_ = false;  // neither resized nor taken back: there is nothing that could run
  float mflops_ = 0;
  char backend_[16] = "cpu";
  std::vector<std::vector<uint8_t>> branches_;  // per output: which operators run
  std::vector<uint8_t> selected_;               // of the run under way
};

}  // namespace mnnlite
