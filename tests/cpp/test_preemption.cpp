// Urgent frames begin in the middle of networks. The fake engine; also run under TSan.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "engine/preemption.hpp"
#include "task/lanes.hpp"
#include "task_rig.hpp"

using namespace mnnlite;

namespace {

constexpr int kOperators = 7;

FakeOptions in_parts(int64_t latency_us = 0) {
  FakeOptions options;
  options.operators = kOperators;
  options.latency_us = latency_us;
  return options;
}

// Gives way everywhere, and runs a task at one place of those that it is passed at.
class At final : public PreemptionPoint {
 public:
  At(int place, Task& task, const TaskItem& frame) : place_(place), task_(task), frame_(frame) { set_wanted(true); }
  Status status;
  int passed = 0;

 private:
  void run_urgent() noexcept override {
    if (passed++ == place_) status = task_.run(&frame_, 1);
  }

  int place_;
  Task& task_;
  TaskItem frame_;
};

// A lane of its own thread; at the end everything submitted is done.
struct OneLane {
  Lanes lanes{1};
  std::thread thread{[this] {
    while (lanes.serve(0) == Lanes::Wake::call) {}
  }};
  ~OneLane() {
    lanes.stop(0);
    thread.join();
  }
  std::shared_ptr<FrameJob> submit(const std::shared_ptr<GraphNode>& node, const TaskItem& frame, bool urgent) {
    const std::shared_ptr<FrameJob> job = lanes.new_job();
    job->frame = frame;
    job->lanes[0].due = {{node}};
    job->urgent = urgent;
    lanes.submit(job);
    return job;
  }
  void wait(const FrameJob& job) {
    while (!lanes.wait(job, 50'000'000)) {}
  }
};

int found(const FrameJob& job) { return job.lanes[0].outcomes[0].results.sinks.at(0)->sink().rows[0].class_id; }

void wait_until_it_runs(const Lanes& lanes) {
  std::shared_ptr<GraphNode> node;
  while (lanes.running(0, node) == 0) std::this_thread::yield();
}

}  // namespace

TEST_CASE("a network of another arena runs before any operator of one at work, and both are right") {
  Rig slow(16, 1, in_parts()), quick(8, 1, in_parts());
  const Picture red(20, 20, 0), blue(20, 20, 2);
  for (int place = 0; place < kOperators; ++place) {
    At point(place, *quick.task, blue.item);
    const PreemptionScope scope(&point);
    REQUIRE(slow.task->run(&red.item, 1).ok());
    REQUIRE(point.status.ok());
    CHECK(point.passed == kOperators);  // what runs in between is not interrupted itself
    CHECK(point.times() == kOperators);
    CHECK(winner(*slow.task) == 0);
    CHECK(winner(*quick.task) == 2);
  }
  CHECK(PreemptionPoint::current() == nullptr);
}

TEST_CASE("a network of the same arena is refused there, and the one at work goes on") {
  Rig slow(16, 1, in_parts());
  Rig same(8, 1, in_parts(), slow.arena);
  const Picture red(20, 20, 0), blue(20, 20, 2);
  for (Task* inner : {same.task.get(), slow.task.get()}) {
    At point(3, *inner, blue.item);
    const PreemptionScope scope(&point);
    REQUIRE(slow.task->run(&red.item, 1).ok());
    CHECK(point.status.code == Code::busy);
    CHECK(winner(*slow.task) == 0);
  }
}

TEST_CASE("an urgent frame does not wait for the network at work") {
  Rig slow(16, 1, in_parts(kOperators * 20'000)), quick(8);
  const auto patient = std::make_shared<GraphNode>(slow.task), urgent = std::make_shared<GraphNode>(quick.task);
  const Picture red(20, 20, 0), blue(20, 20, 2);
  for (const bool allowed : {true, false}) {
    OneLane lane;
    lane.lanes.allow_preemption(0, allowed);
    const auto first = lane.submit(patient, red.item, false);
    wait_until_it_runs(lane.lanes);
    const auto second = lane.submit(urgent, blue.item, true);
    CHECK(lane.lanes.in_flight() == 1);
    CHECK(lane.lanes.in_flight(true) == 1);
    lane.wait(*second);
    CHECK(lane.lanes.is_done(*first) != allowed);
    lane.wait(*first);
    CHECK(lane.lanes.in_flight(true) == 0);
    CHECK(found(*first) == 0);
    CHECK(found(*second) == 2);
    const TaskOutcome& outcome = first->lanes[0].outcomes[0];
    CHECK(outcome.preemptions == (allowed ? 1 : 0));
    CHECK((outcome.given_ns > 0) == allowed);
    CHECK(outcome.times.infer + outcome.given_ns <= outcome.end - outcome.begin);
    CHECK(first->lanes[0].preemptions == outcome.preemptions);
    CHECK(second->lanes[0].preemptions == 0);
    lane.lanes.release(first);
    lane.lanes.release(second);
  }
}

TEST_CASE("urgent and other frames of many threads") {
  constexpr int kFrames = 150;
  Rig slow(16, 1, in_parts(kOperators * 30)), quick(8, 1, in_parts());
  const auto patient = std::make_shared<GraphNode>(slow.task), urgent = std::make_shared<GraphNode>(quick.task);
  OneLane lane;
  lane.lanes.allow_preemption(0, true);
  std::atomic<int> wrong{0}, preemptions{0};
  std::atomic<bool> watching{true};
  const auto feed = [&](const std::shared_ptr<GraphNode>& node, bool is_urgent) {
    std::vector<Picture> pictures;
    for (int channel = 0; channel < 3; ++channel) pictures.emplace_back(20 + channel, 20, channel);
    for (int frame = 0; frame < kFrames; ++frame) {
      const auto job = lane.submit(node, pictures[static_cast<size_t>(frame % 3)].item, is_urgent);
      lane.wait(*job);
      wrong += job->lanes[0].outcomes[0].state != TaskOutcome::ran || found(*job) != frame % 3;
      preemptions += job->lanes[0].preemptions;
      lane.lanes.release(job);
    }
  };
  std::thread watcher([&] {
    std::shared_ptr<GraphNode> node;
    while (watching) {
      lane.lanes.running(0, node);
      lane.lanes.allow_preemption(0, true);
      lane.lanes.call(0);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  std::thread other([&] { feed(urgent, true); });
  feed(patient, false);
  other.join();
  watching = false;
  watcher.join();
  CHECK(wrong == 0);
  CHECK(preemptions > 0);
}
