#include "task/task.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "engine/exclusive_lock.hpp"

namespace mnnlite {
namespace {

int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Status Task::make(std::shared_ptr<Session> session, const std::vector<TaskImage>& images,
                  std::vector<TaskDecoder> decoders, const std::vector<int>& raw, const std::vector<TaskState>& state,
                  int32_t batch, std::unique_ptr<Task>& result) {
  std::unique_ptr<Task> task(new Task);
  task->session_ = std::move(session);
  task->decoders_ = std::move(decoders);
  task->state_ = state;
  task->raw_ = raw;
  task->batch_ = task->max_items_ = batch;
  task->items_.resize(static_cast<size_t>(batch));
  for (const TaskImage& image : images) {
    Plans plans{image, {}};
    plans.plans.reserve(4);
    task->images_.push_back(std::move(plans));
  }

  OutputMask wanted = 0;
  const auto want = [&](int output) { wanted |= mask_of(static_cast<size_t>(output)); };
  for (int output : raw) want(output);
  for (const TaskState& each : state) want(each.output);
  size_t most = 0;
  for (const TaskDecoder& each : task->decoders_) {
    for (int output : each.outputs) want(output);
    most = std::max(most, each.outputs.size());
  }
  task->wanted_ = wanted;
  task->tensors_.resize(most);

  task->needs_.resize(task->decoders_.size());
  for (size_t decoder = 0; decoder < task->decoders_.size(); ++decoder)
    task->sinks_.push_back(std::make_shared<SinkBuffer>());
  MNNLITE_TRY(task->replan());
  result = std::move(task);
  return {};
}

Status Task::replan() noexcept {
  for (const TaskState& each : state_) {
    const TensorView from = session_->output(each.output), to = session_->input(each.input);
    if (stored_bytes(from) != stored_bytes(to) || from.dtype != to.dtype)
      return Status::error(Code::argument,
                           "state: output \"%.60s\" and input \"%.60s\" differ in shape or dtype (%zu and %zu bytes)",
                           from.name, to.name, stored_bytes(from), stored_bytes(to));
  }
  for (Plans& each : images_) {  // a spec that does not fit the tensor is refused now, not at the first frame
    each.plans.clear();
    const ImagePlan* plan = nullptr;
    MNNLITE_TRY(find_plan(each, ImageView{}, &plan));
  }
  if (adapts()) {
    const TensorView input = adapting_input();
    std::copy(input.dims, input.dims + input.rank, planned_);
  }
  for (size_t decoder = 0; decoder < decoders_.size(); ++decoder)
    MNNLITE_TRY(plan_decoder(decoder, largest_width_, largest_height_));
  generation_ = session_->generation();
  return {};
}

namespace {

mnnlite_needs most_of(mnnlite_needs needs, const mnnlite_needs& before) noexcept {
  needs.rows = std::max(needs.rows, before.rows);
  needs.values = std::max(needs.values, before.values);
  needs.chars = std::max(needs.chars, before.chars);
  needs.pixels = std::max(needs.pixels, before.pixels);
  return needs;
}

}  // namespace

Status Task::plan_decoder(size_t decoder, int32_t frame_width, int32_t frame_height) noexcept {
  const TaskDecoder& each = decoders_[decoder];
  for (size_t i = 0; i < each.outputs.size(); ++i) tensors_[i] = session_->output(each.outputs[i]);
  mnnlite_needs needs{};
  needs.frame_width = frame_width;
  needs.frame_height = frame_height;
  MNNLITE_TRY(each.decoder->plan(tensors_.data(), static_cast<int>(each.outputs.size()), batch_, needs));
  const int32_t batches = (max_items_ + batch_ - 1) / batch_;
  for (int32_t* pool : {&needs.rows, &needs.values, &needs.chars, &needs.pixels}) {
    if (*pool > INT32_MAX / batches)
      return Status::error(Code::argument, "results of %d pictures do not fit; allow fewer", max_items_);
    *pool *= batches;
  }
  if (!scratch_.reserve(needs.scratch))
    return Status::error(Code::out_of_memory, "no memory for %zu bytes of scratch of a decoder", needs.scratch);
  if (sinks_[decoder].use_count() > 1) MNNLITE_TRY(renew_results(decoder));  // arrays still show the old pools
  if (adapts()) needs = most_of(needs, needs_[decoder]);
  needs_[decoder] = needs;
  return sinks_[decoder]->reserve(needs);
}

Status Task::renew_results(size_t decoder) noexcept try {
  sinks_[decoder] = std::make_shared<SinkBuffer>();
  return sinks_[decoder]->reserve(needs_[decoder]);
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory for results");
}

Status Task::allow_items(int32_t max_items) noexcept try {
  const int32_t before = std::exchange(max_items_, std::max(max_items, batch_));
  for (size_t decoder = 0; decoder < decoders_.size(); ++decoder) {
    const Status status = plan_decoder(decoder, largest_width_, largest_height_);
    if (status.ok()) continue;
    max_items_ = before;  // there is no room for more
    return status;
  }
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory for results");
}

Status Task::add_feed(const TaskFeed& feed) {
  MNNLITE_TRY(session_->stage_input(feed.input));
  const TensorView from = feed.from->output(feed.output), to = session_->plain_input(feed.input);
  if (stored_bytes(from) != stored_bytes(to) || from.dtype != to.dtype)
    return Status::error(
        Code::argument, "feed: output \"%.60s\" (%zu bytes of %s) does not fit input \"%.60s\" (%zu bytes of %s)",
        from.name, stored_bytes(from), name_of(dtype_of(from)), to.name, stored_bytes(to), name_of(dtype_of(to)));
  feeds_.push_back(feed);
  const bool carries_state =
      std::any_of(state_.begin(), state_.end(), [&](const TaskState& each) { return each.input == feed.input; });
  feeds_.back().copied = carries_state || !session_->input_is_direct(feed.input);
  if (!feeds_.back().copied) session_->use_input_memory(feed.input, from.data);
  return {};
}

Status Task::share_run(std::shared_ptr<SharedRun> run) {
  if (!feeds_.empty() || !state_.empty() || images_.empty())
    return Status::error(Code::argument, "a task with state, with a feed or without a picture cannot share its run");
  run_ = std::move(run);
  return {};
}

Status Task::share_input(std::shared_ptr<InputPool> pool) noexcept try {
  if (images_.size() != 1 || pool_ || adapts()) return {};
  const int input = images_[0].image.input;
  for (const TaskState& each : state_)
    if (each.input == input) return {};
  for (const TaskFeed& each : feeds_)
    if (each.input == input) return {};
  if (pool->join(session_, input)) pool_ = std::move(pool);
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to share an input");
}

void Task::clear_results() noexcept {
  for (const std::shared_ptr<SinkBuffer>& sink : sinks_) sink->reset();
  times_ = {};
  item_count_ = 0;
}

Status Task::exchange_results(size_t decoder, std::shared_ptr<SinkBuffer>& spare) noexcept try {
  if (!spare || !spare->fits(needs_[decoder])) spare = std::make_shared<SinkBuffer>();
  MNNLITE_TRY(spare->reserve(needs_[decoder]));
  sinks_[decoder].swap(spare);
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory for results");
}

Status Task::find_plan(Plans& input, const ImageView& view, const ImagePlan** plan) noexcept try {
  const auto found =
      std::find_if(input.plans.begin(), input.plans.end(), [&](const ImagePlan& each) { return each.fits(view); });
  if (found != input.plans.end()) {
    *plan = &*found;
    return {};
  }
  ImagePlan made;
  MNNLITE_TRY(ImagePlan::make(input.image.spec, view.format, session_->input(input.image.input), batch_, made, nullptr,
                              view.bits));
  input.plans.push_back(made);
  *plan = &input.plans.back();
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory for an image plan");
}

Status Task::fill(Plans& input, const TaskItem* items, int32_t n, bool first) noexcept {
  const TensorView whole = session_->input(input.image.input);
  // Another task of the lane may have made the same of this frame.
  const bool filled = pool_ && n == 1 && whole.rank == 4 && pool_->holds(input.image.spec, whole, items[0].region);
  if (pool_ && !filled) pool_->spoil();
  for (int32_t i = 0; i < n; ++i) {
    const TaskItem& item = items[i];
    const ImagePlan* plan = nullptr;
    MNNLITE_TRY(find_plan(input, item.view, &plan));
    if (!scratch_.reserve(plan->scratch_bytes(item.view.width, item.view.height)))
      return Status::error(Code::out_of_memory, "no memory for the scratch of an image plan");
    if (!filled) MNNLITE_TRY(plan->run(item.view, &item.region, 1, slots_from(whole, i), scratch_.data()));
    if (!first) continue;
    mnnlite_item& out = items_[static_cast<size_t>(i)];
    const Mapping mapping = plan->mapping(item.region);
    std::memcpy(out.to_frame, mapping.m, sizeof out.to_frame);
    out.net_width = plan->width();
    out.net_height = plan->height();
    plan->picture(item.region, out.picture);
  }
  if (pool_ && n == 1) pool_->set_holds(input.image.spec, whole, items[0].region);
  return {};
}

Status Task::run(const TaskItem* items, int32_t n) noexcept {
  const ExclusiveGuard guard(session_->lock());
  return guard.status().ok() ? run_locked(items, n) : guard.status();
}

Status Task::run_locked(const TaskItem* items, int32_t n, std::shared_ptr<SinkBuffer>* into) noexcept {
  TaskItem nothing;  // a task without a picture still decodes: in the coordinates of its input, or of one pixel
  if (n == 0 && images_.empty()) {
    nothing.view.width = nothing.view.height = 1;
    items = &nothing;
    n = 1;
  }
  if (n < 1 || n > max_items_)
    return Status::error(Code::argument, "%d frames given, the task takes 1 to %d at once", n, max_items_);
  if (generation_ != session_->generation()) MNNLITE_TRY(replan());
  times_ = {};
  for (size_t decoder = 0; decoder < decoders_.size(); ++decoder) {
    if (!into || !into[decoder]) {  // a larger frame may have come while results lay elsewhere
      if (!sinks_[decoder]->fits(needs_[decoder])) MNNLITE_TRY(renew_results(decoder));
      continue;
    }
    const Status status = exchange_results(decoder, into[decoder]);
    if (status.ok()) continue;
    while (decoder-- > 0)
      if (into[decoder]) sinks_[decoder].swap(into[decoder]);
    return status;
  }
  const Status status = run_batches(items, n);
  for (size_t decoder = 0; into && decoder < decoders_.size(); ++decoder)
    if (into[decoder]) sinks_[decoder].swap(into[decoder]);
  return status;
}

// Pools were made for the largest input, which is the session's first, and only grow: earlier pictures' results lie in them.
Status Task::adapt(const TaskItem& item) noexcept {
  Plans& input = images_[0];
  const ImageSpec& spec = input.image.spec;
  int32_t width = 0, height = 0;
  network_size(spec, item.region.width, item.region.height, width, height);
  TensorView tensor = adapting_input();
  const bool last = (spec.layout >= 0 ? spec.layout : tensor.layout) == MNNLITE_NHWC;
  if (tensor.rank == 4 && (tensor.dims[last ? 1 : 2] != height || tensor.dims[last ? 2 : 3] != width)) {
    tensor.dims[last ? 1 : 2] = height;
    tensor.dims[last ? 2 : 3] = width;
    MNNLITE_TRY(session_->resize_input(input.image.input, tensor.dims));
    tensor = adapting_input();
  }
  if (std::equal(tensor.dims, tensor.dims + tensor.rank, planned_)) return {};
  input.plans.clear();
  for (size_t decoder = 0; decoder < decoders_.size(); ++decoder) {
    const TaskDecoder& each = decoders_[decoder];
    for (size_t i = 0; i < each.outputs.size(); ++i) tensors_[i] = session_->output(each.outputs[i]);
    mnnlite_needs needs{};
    needs.frame_width = largest_width_;
    needs.frame_height = largest_height_;
    MNNLITE_TRY(each.decoder->plan(tensors_.data(), static_cast<int>(each.outputs.size()), batch_, needs));
    const mnnlite_needs& room = needs_[decoder];
    if (needs.rows > room.rows || needs.values > room.values || needs.chars > room.chars || needs.pixels > room.pixels)
      return Status::error(Code::decoder, "a decoder needs more room for a smaller picture than for the largest");
    if (!scratch_.reserve(needs.scratch))
      return Status::error(Code::out_of_memory, "no memory for %zu bytes of scratch of a decoder", needs.scratch);
  }
  std::copy(tensor.dims, tensor.dims + tensor.rank, planned_);
  return {};
}

Status Task::run_batches(const TaskItem* items, int32_t n) noexcept {
  if (adapts()) {
    for (int32_t i = 0; i < n; ++i) {
      MNNLITE_TRY(adapt(items[i]));
      MNNLITE_TRY(run_batch(items + i, 1, i));
    }
    return {};
  }
  for (int32_t first = 0; first < n; first += batch_)
    MNNLITE_TRY(run_batch(items + first, std::min(batch_, n - first), first));
  return {};
}

Status Task::run_batch(const TaskItem* items, int32_t n, int32_t first) noexcept {
  const int64_t begin = now_ns();
  item_count_ = n;
  int32_t frame_width = largest_width_, frame_height = largest_height_;
  for (int32_t i = 0; i < n; ++i) {
    mnnlite_item& item = items_[static_cast<size_t>(i)];
    if (items[i].placed) {
      item = *items[i].placed;
    } else {
      item = mnnlite_item{};
      const Mapping identity;
      std::memcpy(item.to_frame, identity.m, sizeof item.to_frame);
      item.frame_width = items[i].view.width;
      item.frame_height = items[i].view.height;
    }
    item.item = items[i].number < 0 ? first + i : items[i].number;
    frame_width = std::max(frame_width, item.frame_width);
    frame_height = std::max(frame_height, item.frame_height);
  }
  for (const TaskFeed& feed : feeds_) {
    const TensorView from = feed.from->output(feed.output);
    if (stored_bytes(from) != stored_bytes(session_->plain_input(feed.input)))
      return Status::error(Code::state, "feed: output \"%.60s\" was resized and no longer fits its input", from.name);
    if (feed.copied)
      std::memcpy(session_->plain_input(feed.input).data, from.data, stored_bytes(from));
    else if (session_->input(feed.input).data != from.data)  // the other session was resized
      session_->use_input_memory(feed.input, from.data);
  }
  for (size_t i = 0; i < images_.size(); ++i) MNNLITE_TRY(fill(images_[i], items, n, i == 0));

  const int64_t filled = now_ns();
  if (!run_ || run_->due == 0) {
    MNNLITE_TRY(session_->run(wanted_));
  } else if ((run_->done & wanted_) != wanted_) {
    MNNLITE_TRY(session_->run(run_->due | wanted_));
    run_->done = run_->due | wanted_;
  }
  const int64_t inferred = now_ns();

  if (frame_width > largest_width_ || frame_height > largest_height_) {
    for (size_t decoder = 0; decoder < decoders_.size(); ++decoder)
      if (needs_[decoder].depends_on_frame || largest_width_ == 0)
        MNNLITE_TRY(plan_decoder(decoder, frame_width, frame_height));
    largest_width_ = frame_width;
    largest_height_ = frame_height;
  }
  for (size_t decoder = 0; decoder < decoders_.size(); ++decoder) MNNLITE_TRY(decode(decoder, n, first == 0));
  for (const TaskState& each : state_) {
    const TensorView from = session_->output(each.output);
    std::memcpy(session_->input(each.input).data, from.data, stored_bytes(from));
  }
  times_.preprocess += filled - begin;
  times_.infer += inferred - filled;
  times_.decode += now_ns() - inferred;
  return {};
}

// A later batch is decoded into what is left of the pools, and its rows then point to where they really lie.
Status Task::decode(size_t decoder, int32_t n, bool first) noexcept {
  const TaskDecoder& each = decoders_[decoder];
  for (size_t i = 0; i < each.outputs.size(); ++i) tensors_[i] = session_->output(each.outputs[i]);
  const int count = static_cast<int>(each.outputs.size());
  if (first) {
    sinks_[decoder]->reset();
    return each.decoder->decode(tensors_.data(), count, items_.data(), n, sinks_[decoder]->sink(), scratch_.data());
  }
  mnnlite_sink& whole = sinks_[decoder]->sink();
  mnnlite_sink part = whole;
  part.rows += whole.row_count;
  part.values += whole.value_count;
  part.chars += whole.char_count;
  part.pixels += whole.pixel_count;
  part.row_capacity -= whole.row_count;
  part.value_capacity -= whole.value_count;
  part.char_capacity -= whole.char_count;
  part.pixel_capacity -= whole.pixel_count;
  part.row_count = part.value_count = part.char_count = part.pixel_count = part.found = part.truncated = 0;
  MNNLITE_TRY(each.decoder->decode(tensors_.data(), count, items_.data(), n, part, scratch_.data()));
  for (int32_t row = 0; row < part.row_count; ++row) {
    part.rows[row].first_value += whole.value_count;
    part.rows[row].first_char += whole.char_count;
    part.rows[row].first_pixel += whole.pixel_count;
    if (part.rows[row].parent >= 0) part.rows[row].parent += whole.row_count;
  }
  whole.row_count += part.row_count;
  whole.value_count += part.value_count;
  whole.char_count += part.char_count;
  whole.pixel_count += part.pixel_count;
  whole.found += part.found;
  whole.truncated |= part.truncated;
  return {};
}

Status Task::reset_state() noexcept {
  const ExclusiveGuard guard(session_->lock());
  if (!guard.status().ok()) return guard.status();
  for (const TaskState& each : state_) {
    const TensorView input = session_->input(each.input);
    std::memset(input.data, 0, stored_bytes(input));
  }
  return {};
}

}  // namespace mnnlite
