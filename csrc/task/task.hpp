// One model's work on a frame: image -> engine -> decode in one call, without Python and without allocating once warm.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/memory.hpp"
#include "core/status.hpp"
#include "core/views.hpp"
#include "decode/decoder.hpp"
#include "decode/sink.hpp"
#include "engine/session.hpp"
#include "image/plan.hpp"
#include "task/input_pool.hpp"

namespace mnnlite {

// Which input of the session is filled from the frame, and how.
struct TaskImage {
  int input;
  ImageSpec spec;
};

// Which outputs a decoder reads, in its order.
struct TaskDecoder {
  std::vector<int> outputs;
  std::unique_ptr<Decoder> decoder;
};

// An output that becomes an input of the next frame.
struct TaskState {
  int input, output;
};

struct TaskTimes {  // nanoseconds of the last run
  int64_t preprocess = 0, infer = 0, decode = 0;
};

// One picture of a batch: a region of a frame.
struct TaskItem {
  ImageView view;
  Region region;
  int32_t number = -1;                   // what rows carry as `item`; -1: its place in the call
  const mnnlite_item* placed = nullptr;  // for a task without a picture of its own: where that of its feed lies
};

// An input that is another task's output. The network reads it where the other one wrote it; only where it wants another
// layout is it copied before each run.
struct TaskFeed {
  std::shared_ptr<Session> from;
  int output, input;
  bool copied = false;
};

// Tasks of one session and one picture, each with outputs of its own: the first of them that runs on a frame runs the
// network for all that are due, and the others only decode. The lane's thread only.
struct SharedRun {
  OutputMask due = 0;   // outputs that the frame at work wants; 0 between frames
  OutputMask done = 0;  // of these, what is there
};

class Task {
 public:
  // Outputs in `raw` are computed too, for callers that read them themselves. Every decoder is planned for the shapes as
  // they are now and for `batch` items.
  static Status make(std::shared_ptr<Session> session, const std::vector<TaskImage>& images,
                     std::vector<TaskDecoder> decoders, const std::vector<int>& raw,
                     const std::vector<TaskState>& state, int32_t batch, std::unique_ptr<Task>& result);

  // The whole work for `n` items, at most max_items(), in batches. Results are in results(k) of each decoder k, until
  // the next run.
  // Allocates only when it meets a new pixel format or a frame size that needs more room. Takes the session's lock.
  Status run(const TaskItem* items, int32_t n) noexcept;
  // The same for who holds the session's lock. `into` has one for each decoder: where its results shall lie instead, or null.
  // Pools that are too small are replaced and not grown, since arrays may show them. After a resize of the session everything
  // is planned for its new tensors first, or refused.
  Status run_locked(const TaskItem* items, int32_t n, std::shared_ptr<SinkBuffer>* into = nullptr) noexcept;

  // Zeros in the inputs that state feeds.
  Status reset_state() noexcept;

  // Room for the results of more items than one batch.
  Status allow_items(int32_t max_items) noexcept;
  // Compute this output too, for others to take.
  void also_compute(int output) noexcept { wanted_ |= mask_of(static_cast<size_t>(output)); }
  // Shape and dtype must be equal.
  Status add_feed(const TaskFeed& feed);
  bool takes_pictures() const noexcept { return !images_.empty(); }
  // Whether its input takes the shape of each picture: ImageSpec::multiple. It then runs picture by picture.
  bool adapts() const noexcept { return images_.size() == 1 && images_[0].image.spec.multiple > 0; }
  // What a shared input holds is of an earlier frame, and so is what a shared session gave.
  void begin_frame() noexcept {
    if (pool_) pool_->begin_frame();
    if (run_) *run_ = SharedRun{};
  }
  // This task is due on the frame that begins; after all tasks were told of it.
  void announce() noexcept {
    if (run_) run_->due |= wanted_;
  }
  // All tasks that share a session, with the same picture and neither feeds nor state nor crops, share one of these.
  Status share_run(std::shared_ptr<SharedRun> run);
  // Of the last run: where the pictures of its last batch lay.
  const mnnlite_item* items() const noexcept { return items_.data(); }
  int32_t item_count() const noexcept { return item_count_; }

  // Take the memory of the input from `pool`, where that can be: one picture, and nothing else writes the input.
  Status share_input(std::shared_ptr<InputPool> pool) noexcept;

  // No results, as of a run without items.
  void clear_results() noexcept;
  // Hand the results of a decoder out and go on with `spare`, or with new ones where it is null or too small.
  Status exchange_results(size_t decoder, std::shared_ptr<SinkBuffer>& spare) noexcept;
  // Outputs that the caller reads itself.
  const std::vector<int>& raw() const noexcept { return raw_; }

  int32_t batch() const noexcept { return batch_; }
  int32_t max_items() const noexcept { return max_items_; }
  size_t decoder_count() const noexcept { return decoders_.size(); }
  const std::shared_ptr<SinkBuffer>& results(size_t decoder) const noexcept { return sinks_[decoder]; }
  // Take the place of a sink whose results are still looked at.
  Status renew_results(size_t decoder) noexcept;
  Session& session() const noexcept { return *session_; }
  const std::shared_ptr<Session>& shared_session() const noexcept { return session_; }
  const TaskTimes& times() const noexcept { return times_; }
  // What the task holds beside its session: scratch of plans and decoders, and room for results.
  size_t scratch_bytes() const noexcept {
    size_t total = scratch_.size();
    for (const std::shared_ptr<SinkBuffer>& sink : sinks_) total += sink ? sink->bytes() : 0;
    return total;
  }

 private:
  struct Plans {  // one input's, by pixel format
    TaskImage image;
    std::vector<ImagePlan> plans;
  };

  Task() = default;
  Status replan() noexcept;
  Status plan_decoder(size_t decoder, int32_t frame_width, int32_t frame_height) noexcept;
  Status fill(Plans& input, const TaskItem* items, int32_t n, bool first) noexcept;
  Status run_batches(const TaskItem* items, int32_t n) noexcept;
  Status adapt(const TaskItem& item) noexcept;
  TensorView adapting_input() const noexcept { return session_->input(images_[0].image.input); }
  Status run_batch(const TaskItem* items, int32_t n, int32_t first) noexcept;
  Status decode(size_t decoder, int32_t n, bool first) noexcept;
  Status find_plan(Plans& input, const ImageView& view, const ImagePlan** plan) noexcept;

  std::shared_ptr<Session> session_;
  std::vector<Plans> images_;
  std::vector<TaskDecoder> decoders_;
  std::vector<std::shared_ptr<SinkBuffer>> sinks_;
  std::vector<mnnlite_needs> needs_;
  std::vector<TaskState> state_;
  std::vector<TaskFeed> feeds_;
  std::vector<int> raw_;
  std::shared_ptr<InputPool> pool_;  // of the only picture's input
  std::shared_ptr<SharedRun> run_;
  std::vector<mnnlite_item> items_;
  std::vector<TensorView> tensors_;  // of the decoder at work
  OutputMask wanted_ = kAllOutputs;
  uint32_t generation_ = 0;  // of the session's tensors that all plans are for
  int32_t batch_ = 1, max_items_ = 1, item_count_ = 0;
  int32_t largest_width_ = 0, largest_height_ = 0;  // frames met so far
  int32_t planned_[MNNLITE_MAX_RANK] = {};  // of a task that adapts: the input's shape that decoders are planned for
  Scratch scratch_;
  TaskTimes times_;
};

}  // namespace mnnlite
