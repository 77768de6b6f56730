// Many tasks on a frame: cascades, chains, failures, and lanes on threads. The fake engine; also run under TSan.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "task/lanes.hpp"
#include "task_rig.hpp"

using namespace mnnlite;

namespace {

// Left half red, right half blue.
struct Halves : Picture {
  Halves(int32_t width, int32_t height) : Picture(width, height, 0) {
    for (int32_t y = 0; y < height; ++y)
      for (int32_t x = width / 2; x < width; ++x) std::swap(at(x, y, 0), at(x, y, 2));
  }
  uint8_t& at(int32_t x, int32_t y, int channel) {
    return pixels[(static_cast<size_t>(y) * static_cast<size_t>(item.view.width) + static_cast<size_t>(x)) * 3 +
                  static_cast<size_t>(channel)];
  }
};

std::shared_ptr<GraphNode> node_of(const Rig& rig) { return std::make_shared<GraphNode>(rig.task); }

CropRule crops(std::vector<int32_t> classes, int32_t most, double padding = 0) {
  CropRule rule;
  rule.every_class = classes.empty();
  rule.classes = std::move(classes);
  rule.max_crops = most;
  rule.padding = padding;
  return rule;
}

std::vector<TaskOutcome> run(const std::vector<ScheduledTask>& due, const TaskItem& frame) {
  std::vector<TaskOutcome> outcomes(due.size());
  Running running;
  run_all(due, frame, outcomes, running);
  CHECK(running.begin.load() == 0);
  return outcomes;
}

const mnnlite_sink& sink_of(const TaskOutcome& outcome) { return outcome.results.sinks.at(0)->sink(); }

}  // namespace

TEST_CASE("a cascade runs on the boxes of the class that is asked for, in pixels of the frame") {
  Rig whole(16), part(8);
  const auto parent = node_of(whole), child = node_of(part);
  REQUIRE(child->follow(parent, crops({2}, 4)).ok());
  Halves picture(64, 32);
  const std::vector<TaskOutcome> outcomes = run({{parent}, {child}}, picture.item);
  REQUIRE(outcomes[0].state == TaskOutcome::ran);
  REQUIRE(outcomes[1].state == TaskOutcome::ran);
  CHECK(outcomes[1].crops == 1);
  CHECK(outcomes[1].eligible == 1);
  const mnnlite_sink &first = sink_of(outcomes[0]), &second = sink_of(outcomes[1]);
  REQUIRE(first.row_count == 2);
  REQUIRE(second.row_count == 1);
  const mnnlite_row& row = second.rows[0];
  CHECK(first.rows[row.item].class_id == 2);  // `item` is the parent's row
  CHECK(row.class_id == 2);
  for (int i = 0; i < 4; ++i) CHECK(row.box[i] == doctest::Approx(first.rows[row.item].box[i]).epsilon(0.02));
  CHECK(row.box[0] >= 30);
}

TEST_CASE("more crops than a batch holds are several batches and one result") {
  Rig whole(16), one(8), many(8, 4);
  const auto parent = node_of(whole), chunks = node_of(one), batch = node_of(many);
  REQUIRE(chunks->follow(parent, crops({}, 4)).ok());
  REQUIRE(batch->follow(parent, crops({}, 4)).ok());
  Halves picture(64, 32);
  const std::vector<TaskOutcome> outcomes = run({{parent}, {chunks}, {batch}}, picture.item);
  const mnnlite_sink &a = sink_of(outcomes[1]), &b = sink_of(outcomes[2]);
  REQUIRE(a.row_count == b.row_count);
  CHECK(outcomes[1].crops == 2);
  CHECK(a.pixel_count == b.pixel_count);
  for (int i = 0; i < a.row_count; ++i) {
    CHECK(a.rows[i].item == b.rows[i].item);
    CHECK(a.rows[i].class_id == b.rows[i].class_id);
    CHECK(a.rows[i].first_pixel == b.rows[i].first_pixel);
    CHECK(a.rows[i].first_value == b.rows[i].first_value);
    CHECK(std::equal(a.rows[i].box, a.rows[i].box + 4, b.rows[i].box));
  }
  CHECK(std::equal(a.values, a.values + a.value_count, b.values));
  CHECK(std::equal(a.pixels, a.pixels + a.pixel_count, b.pixels));
}

TEST_CASE("no box is an empty result; too many are the best ones") {
  Rig whole(16), part(8), other(8);
  const auto parent = node_of(whole), none = node_of(part), capped = node_of(other);
  REQUIRE(none->follow(parent, crops({1}, 4)).ok());
  REQUIRE(capped->follow(parent, crops({}, 1, 0.25)).ok());
  Halves picture(64, 32);
  const std::vector<TaskOutcome> outcomes = run({{parent}, {none}, {capped}}, picture.item);
  CHECK(outcomes[1].state == TaskOutcome::ran);
  CHECK(outcomes[1].crops == 0);
  CHECK(sink_of(outcomes[1]).row_count == 0);
  CHECK(outcomes[2].crops == 1);
  CHECK(outcomes[2].eligible == 2);
}

TEST_CASE("a task that fails fails alone, with what takes something from it") {
  FakeOptions failing;
  failing.fail_at_run = 0;
  Rig bad(16, 1, failing), child(8), good(8);
  const auto parent = node_of(bad), follower = node_of(child), other = node_of(good);
  REQUIRE(follower->follow(parent, crops({}, 2)).ok());
  const Picture picture(20, 20, 1);
  std::vector<TaskOutcome> outcomes = run({{parent}, {follower}, {other}}, picture.item);
  CHECK(outcomes[0].state == TaskOutcome::failed);
  CHECK(outcomes[0].status.code == Code::engine);
  CHECK(outcomes[1].state == TaskOutcome::not_ready);
  CHECK(outcomes[2].state == TaskOutcome::ran);
  outcomes = run({{parent}, {follower}, {other}}, picture.item);
  for (const TaskOutcome& outcome : outcomes) CHECK(outcome.state == TaskOutcome::ran);
  // A parent that is not due leaves its follower out, although it ran on an earlier frame.
  outcomes = run({{other}, {follower}}, picture.item);
  CHECK(outcomes[1].state == TaskOutcome::not_ready);
}

TEST_CASE("a task that could not be started in time is left out") {
  Rig a(8), b(8);
  const Picture picture(20, 20, 1);
  std::vector<ScheduledTask> due = {{node_of(a), 1}, {node_of(b), steady_ns() + 3600'000'000'000}};
  const std::vector<TaskOutcome> outcomes = run(due, picture.item);
  CHECK(outcomes[0].state == TaskOutcome::left_out);
  CHECK(outcomes[1].state == TaskOutcome::ran);
}

TEST_CASE("a chain hands tensors over") {
  const auto arena = std::make_shared<FakeArena>();
  const auto make = [&](std::vector<int32_t> dims, const std::vector<int>& raw) {
    FakeOptions options;
    options.dims = std::move(dims);
    options.outputs = 2;  // output 1 is twice the input
    std::unique_ptr<FakeSession> fake;
    REQUIRE(FakeSession::make(arena, options, fake).ok());
    std::unique_ptr<Task> task;
    REQUIRE(Task::make(std::move(fake), {}, {}, raw, {}, 1, task).ok());
    return std::make_shared<GraphNode>(std::shared_ptr<Task>(std::move(task)));
  };
  const auto first = make({1, 4}, {1}), second = make({1, 4}, {1}), odd = make({1, 5}, {1});
  REQUIRE(second->feed_from(first, 1, 0).ok());
  CHECK(odd->feed_from(first, 1, 0).code == Code::argument);
  CHECK(second->task().session().input(0).data == first->task().session().output(1).data);  // not a copy
  static_cast<float*>(first->task().session().input(0).data)[2] = 3;
  const std::vector<TaskOutcome> outcomes = run({{first}, {second}}, TaskItem{});
  REQUIRE(outcomes[1].state == TaskOutcome::ran);
  const RawOutput& raw = outcomes[1].results.raw.at(0);
  CHECK(static_cast<const float*>(raw.view.data)[2] == 12);
}

TEST_CASE("tasks of one session and one picture run it once a frame") {
  FakeOptions options;
  options.dims = {1, 3, 8, 8};
  options.outputs = 2;
  options.fail_at_run = 2;
  std::unique_ptr<FakeSession> fake;
  REQUIRE(FakeSession::make(std::make_shared<FakeArena>(), options, fake).ok());
  const std::shared_ptr<Session> session = std::move(fake);
  ImageSpec spec;
  spec.width = spec.height = 8;
  const auto shared = std::make_shared<SharedRun>();
  std::vector<std::shared_ptr<GraphNode>> nodes;
  for (int output = 0; output < 2; ++output) {
    std::unique_ptr<Task> task;
    REQUIRE(Task::make(session, {{0, spec}}, {}, {output}, {}, 1, task).ok());
    REQUIRE(task->share_run(shared).ok());
    nodes.push_back(std::make_shared<GraphNode>(std::shared_ptr<Task>(std::move(task))));
  }
  const Picture picture(8, 8, 1);
  for (int frame = 0; frame < 2; ++frame) {
    const std::vector<TaskOutcome> outcomes = run({{nodes[0]}, {nodes[1]}}, picture.item);
    for (size_t output = 0; output < 2; ++output) {
      REQUIRE(outcomes[output].state == TaskOutcome::ran);  // a third run of the network would have failed
      const float* values = static_cast<const float*>(outcomes[output].results.raw.at(0).view.data);
      CHECK(values[64] == doctest::Approx(200.0f * static_cast<float>(output + 1)));
    }
  }
  // The one that fails takes its turn alone, and the next one tries anew.
  const std::vector<TaskOutcome> outcomes = run({{nodes[0]}, {nodes[1]}}, picture.item);
  CHECK(outcomes[0].state == TaskOutcome::failed);
  CHECK(outcomes[1].state == TaskOutcome::ran);
  CHECK(nodes[0]->task().run(&picture.item, 1).ok());  // between frames
  std::unique_ptr<Task> blind;
  REQUIRE(Task::make(session, {}, {}, {0}, {}, 1, blind).ok());
  CHECK(blind->share_run(shared).code == Code::argument);
}

TEST_CASE("what cannot follow is refused") {
  Rig whole(16), part(8);
  const auto parent = node_of(whole), child = node_of(part);
  CropRule wrong = crops({}, 2);
  wrong.decoder = 1;
  CHECK(child->follow(parent, wrong).code == Code::argument);
}

TEST_CASE("two lanes work through frames, in order, with calls between them") {
  constexpr int kFrames = 60;
  FakeOptions slow;
  slow.latency_us = 200;
  Rig left(16, 1, slow), child(8, 1, {}, left.arena), right(8);
  const auto parent = node_of(left), follower = node_of(child), other = node_of(right);
  REQUIRE(follower->follow(parent, crops({}, 2)).ok());
  Lanes lanes(2);
  std::atomic<int> calls{0};
  std::vector<std::thread> threads;
  for (size_t lane = 0; lane < 2; ++lane)
    threads.emplace_back([&, lane] {
      while (lanes.serve(lane) == Lanes::Wake::call) ++calls;
    });
  std::atomic<bool> watching{true};
  std::thread watcher([&] {  // what a watchdog does
    while (watching) {
      std::shared_ptr<GraphNode> node;
      for (size_t lane = 0; lane < 2; ++lane) lanes.running(lane, node);
      lanes.is_idle(0);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  std::vector<Picture> pictures;
  for (int channel = 0; channel < 3; ++channel) pictures.emplace_back(20 + channel, 20, channel);
  std::vector<std::shared_ptr<FrameJob>> flying;
  int wrong = 0, seen = 0;
  const auto take = [&] {
    const std::shared_ptr<FrameJob> job = flying.front();
    flying.erase(flying.begin());
    while (!lanes.wait(*job, 50'000'000)) {}
    CHECK(lanes.is_done(*job));
    const int expected = seen++ % 3;
    for (const FrameJob::LaneJob& lane_job : job->lanes)
      for (size_t i = 0; i < lane_job.due.size(); ++i) {
        wrong += lane_job.outcomes[i].state != TaskOutcome::ran;
        const mnnlite_sink& sink = sink_of(lane_job.outcomes[i]);
        wrong += sink.row_count < 1 || sink.rows[0].class_id != expected;
      }
    lanes.release(job);
  };
  for (int frame = 0; frame < kFrames; ++frame) {
    if (flying.size() == 3) take();
    const std::shared_ptr<FrameJob> job = lanes.new_job();
    job->frame = pictures[static_cast<size_t>(frame % 3)].item;
    job->lanes[0].due = {{parent}, {follower}};
    if (frame % 2 == 0) job->lanes[1].due = {{other}};
    lanes.submit(job);
    flying.push_back(job);
    if (frame % 10 == 0) lanes.call(static_cast<size_t>(frame / 10 % 2));
  }
  CHECK(lanes.in_flight() <= 3);
  while (!flying.empty()) take();
  CHECK(lanes.in_flight() == 0);
  for (size_t lane = 0; lane < 2; ++lane) lanes.stop(lane);
  for (std::thread& thread : threads) thread.join();
  watching = false;
  watcher.join();
  CHECK(wrong == 0);
  CHECK(seen == kFrames);
  CHECK(calls == 6);
  const uint64_t before = lanes.wait(uint64_t{0}, 0);
  lanes.kick();
  CHECK(lanes.wait(before, 1'000'000'000) == before + 1);
}

TEST_CASE("a lane that is added takes part from the next frame on") {
  // Two backends: a session of each has an arena of its own, and here its own time.
  FakeOptions slow;
  slow.latency_us = 300;
  Rig left(16), right(8, 1, slow);
  const auto one = node_of(left), other = node_of(right);
  Lanes lanes(1);
  std::vector<std::thread> threads;
  const auto start = [&](size_t lane) {
    threads.emplace_back([&lanes, lane] {
      while (lanes.serve(lane) == Lanes::Wake::call) {}
    });
  };
  start(0);
  Picture picture(20, 20, 1);
  const auto submit = [&] {
    std::shared_ptr<FrameJob> job = lanes.new_job();
    job->frame = picture.item;
    job->lanes[0].due = {{one}};
    if (job->lanes.size() > 1) job->lanes[1].due = {{other}};
    lanes.submit(job);
    return job;
  };
  const auto take = [&](std::shared_ptr<FrameJob> job, size_t expected) {
    while (!lanes.wait(*job, 50'000'000)) {}
    REQUIRE(job->lanes.size() == expected);
    for (const FrameJob::LaneJob& lane_job : job->lanes) {
      REQUIRE(lane_job.due.size() == 1);
      CHECK(lane_job.outcomes[0].state == TaskOutcome::ran);
      CHECK(sink_of(lane_job.outcomes[0]).rows[0].class_id == 1);
    }
    lanes.release(std::move(job));
  };
  take(submit(), 1);  // its job will be used again, with one lane more
  const std::shared_ptr<FrameJob> before = submit();
  lanes.add();
  CHECK(lanes.count() == 2);
  start(1);
  const std::shared_ptr<FrameJob> after = submit();
  take(before, 1);
  take(after, 2);
  for (int frame = 0; frame < 10; ++frame) take(submit(), 2);
  CHECK(lanes.in_flight() == 0);
  for (size_t lane = 0; lane < 2; ++lane) lanes.stop(lane);
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("results stay as they are while later frames are worked on") {
  Rig rig(8);
  const auto node = node_of(rig);
  const Picture red(10, 10, 0), blue(10, 10, 2);
  std::vector<TaskOutcome> first = run({{node}}, red.item);
  const std::vector<TaskOutcome> second = run({{node}}, blue.item);
  CHECK(sink_of(first[0]).rows[0].class_id == 0);
  CHECK(sink_of(second[0]).rows[0].class_id == 2);
  SinkBuffer* const used = first[0].results.sinks[0].get();
  node->recycle(first[0].results);
  run({{node}}, red.item);
  const std::vector<TaskOutcome> third = run({{node}}, red.item);
  CHECK(third[0].results.sinks[0].get() == used);  // nothing is allocated once warm: the third frame meets it again
}

TEST_CASE("tasks of a lane share one input memory, filled once for equal specs") {
  const auto pool = std::make_shared<InputPool>();
  const auto arena = std::make_shared<FakeArena>();
  Rig small(8, 1, {}, arena), same(8, 1, {}, arena), large(32, 1, {}, arena);
  std::vector<ScheduledTask> due;
  for (const Rig* rig : {&small, &same, &large}) {
    REQUIRE(rig->task->share_input(pool).ok());
    due.push_back({node_of(*rig)});
  }
  CHECK(pool->bytes() >= 32 * 32 * 3 * sizeof(float));
  CHECK(small.session->input(0).data == large.session->input(0).data);
  for (int channel = 0; channel < 3; ++channel) {
    const Picture picture(20, 20, channel);
    const std::vector<TaskOutcome> outcomes = run(due, picture.item);
    for (const TaskOutcome& outcome : outcomes) CHECK(sink_of(outcome).rows[0].class_id == channel);
  }
  // The same memory, filled again between frames by nobody: a frame never sees an earlier one's picture.
  std::vector<ScheduledTask> first(due.begin(), due.begin() + 2);
  for (int channel = 2; channel >= 0; --channel) {
    const Picture picture(20, 20, channel);
    for (const TaskOutcome& outcome : run(first, picture.item)) CHECK(sink_of(outcome).rows[0].class_id == channel);
  }
  due.pop_back();
  first.clear();
  large.task.reset();
  large.session.reset();
  pool->fit();
  CHECK(pool->bytes() < 32 * 32 * 3 * sizeof(float));
  CHECK(small.session->input(0).data == same.session->input(0).data);
  const Picture picture(20, 20, 1);
  for (const TaskOutcome& outcome : run(due, picture.item)) CHECK(sink_of(outcome).rows[0].class_id == 1);
}
