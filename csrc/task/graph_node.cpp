#include "task/graph_node.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace mnnlite {

Status GraphNode::follow(std::shared_ptr<GraphNode> parent, CropRule rule) {
  Task& from = parent->task();
  if (rule.decoder < 0 || static_cast<size_t>(rule.decoder) >= from.decoder_count() ||
      !has_boxes(from.results(static_cast<size_t>(rule.decoder))->kind()))
    return Status::error(Code::argument, "after: that task's results have no boxes to crop");
  if (!task_->takes_pictures())
    return Status::error(Code::argument, "after: the task has no image spec, so it cannot run on crops");
  if (!task_->raw().empty() && rule.max_crops > task_->batch())
    return Status::error(
        Code::argument,
        "max_crops is %d, but a task without a native decoder keeps only one batch of outputs; set batch=%d "
        "or max_crops=%d",
        rule.max_crops, rule.max_crops, task_->batch());
  MNNLITE_TRY(task_->allow_items(rule.max_crops));
  items_.resize(static_cast<size_t>(rule.max_crops));
  order_.resize(static_cast<size_t>(std::max(1, from.results(static_cast<size_t>(rule.decoder))->sink().row_capacity)));
  needed_.push_back(parent);
  parent_ = std::move(parent);
  rule_ = std::move(rule);
  return {};
}

Status GraphNode::turn_by(std::shared_ptr<GraphNode> other, TurnRule rule) {
  const CropRule& its = other->rule_;
  if (!parent_ || other->parent_ != parent_ || its.decoder != rule_.decoder)
    return Status::error(Code::argument,
                         "turn_by: that task must run on the same boxes: give both tasks the same after");
  const bool sees_all =
      its.every_class ||
      (!rule_.every_class && std::all_of(rule_.classes.begin(), rule_.classes.end(), [&](int32_t each) {
        return std::find(its.classes.begin(), its.classes.end(), each) != its.classes.end();
      }));
  if (!sees_all || its.max_crops < rule_.max_crops)
    return Status::error(
        Code::argument,
        "turn_by: that task leaves out boxes that this one takes; give it the same only, and max_crops of at least %d",
        rule_.max_crops);
  if (rule.decoder < 0 || static_cast<size_t>(rule.decoder) >= other->task().decoder_count())
    return Status::error(Code::argument, "turn_by: that task's results have no classes");
  needed_.push_back(other);
  turner_ = std::move(other);
  turning_ = std::move(rule);
  return {};
}

Status GraphNode::feed_from(std::shared_ptr<GraphNode> from, int output, int input) {
  // The session outlives the node it belongs to only as long as this one holds it.
  MNNLITE_TRY(task_->add_feed({from->task().shared_session(), output, input}));
  from->task().also_compute(output);
  if (!task_->takes_pictures() && !placed_by_) placed_by_ = from->placed_by_ ? from->placed_by_ : from.get();
  needed_.push_back(std::move(from));
  return {};
}

bool GraphNode::is_ready() const noexcept {
  return std::all_of(needed_.begin(), needed_.end(), [](const std::shared_ptr<GraphNode>& each) { return each->ran_; });
}

Status GraphNode::run(const TaskItem& frame, int32_t& crops, int32_t& eligible) noexcept try {
  crops = eligible = -1;
  if (parent_) {
    const SinkBuffer& rows = *parent_->task().results(static_cast<size_t>(rule_.decoder));
    // Only where a larger frame made room for more.
    if (order_.size() < static_cast<size_t>(rows.sink().row_count))
      order_.resize(static_cast<size_t>(rows.sink().row_count));
    crops = make_crops(rows, rule_, frame.view, order_, items_, eligible);
    if (turner_) turn_crops(*turner_->task().results(static_cast<size_t>(turning_.decoder)), turning_, items_, crops);
    task_->clear_results();
    return crops == 0 ? Status{} : task_->run(items_.data(), crops);
  }
  if (task_->takes_pictures()) return task_->run(&frame, 1);
  if (!placed_by_) return task_->run(nullptr, 0);
  TaskItem item;
  item.placed = placed_by_->task().items();
  return task_->run(&item, 1);
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to choose crops");
}

Status GraphNode::take_results(Results& results) noexcept try {
  const size_t decoders = task_->decoder_count();
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!spare_.empty()) {
      results.sinks = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  results.sinks.resize(decoders);
  for (size_t decoder = 0; decoder < decoders; ++decoder)
    MNNLITE_TRY(task_->exchange_results(decoder, results.sinks[decoder]));
  const std::vector<int>& raw = task_->raw();
  results.raw.resize(raw.size());
  results.items.clear();
  if (!raw.empty()) results.items.assign(task_->items(), task_->items() + task_->item_count());
  for (size_t i = 0; i < raw.size(); ++i) {
    RawOutput& copy = results.raw[i];
    copy.view = task_->session().output(raw[i]);
    const size_t bytes = stored_bytes(copy.view);
    if (!copy.memory.reserve(bytes))
      return Status::error(Code::out_of_memory, "no memory for a copy of output \"%.60s\"", copy.view.name);
    if (bytes > 0) std::memcpy(copy.memory.data(), copy.view.data, bytes);
    copy.view.data = copy.memory.data();
  }
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory for results");
}

void GraphNode::recycle(Results& results) noexcept try {
  results.raw.clear();
  if (results.sinks.empty()) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  spare_.push_back(std::move(results.sinks));
  results.sinks.clear();
} catch (const std::bad_alloc&) {
  results.sinks.clear();
}

}  // namespace mnnlite
