// Every allocation of a task on the fake engine, and of lanes, fails once in turn: the right status, the rest goes on, nothing is
// lost (the sanitizer looks for leaks) and the next try succeeds. The allocators are this file's, by the linker's --wrap.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include "task/lanes.hpp"
#include "task_rig.hpp"

extern "C" {
void* __real_malloc(size_t);
int __real_posix_memalign(void**, size_t, size_t);
}

namespace {

std::atomic<long> asked{0}, failing{0};  // allocations so far; which of them fails, 0: none

bool fails() { return failing.load() != 0 && ++asked == failing.load(); }

}  // namespace

extern "C" {
void* __wrap_malloc(size_t size) { return fails() ? nullptr : __real_malloc(size); }
int __wrap_posix_memalign(void** memory, size_t alignment, size_t size) {
  return fails() ? ENOMEM : __real_posix_memalign(memory, alignment, size);
}
}

void* operator new(size_t size) {
  void* const memory = fails() ? nullptr : __real_malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return fails() ? nullptr : __real_malloc(size ? size : 1);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace mnnlite {
namespace {

// Calls `work` again and again, of whose allocations each fails once, until none is left. `work` gives its status; what it
// throws is what the binding would see.
template <typename Work>
long fail_each(const char* what, Work work) {
  for (long point = 1;; ++point) {
    asked = 0;
    failing = point;
    Status status;
    try {
      status = work();
    } catch (const std::bad_alloc&) {
      status = Status::error(Code::out_of_memory, "thrown");
    }
    const bool reached = asked.load() >= point;
    failing = 0;
    if (!reached) {
      INFO(std::string(status.text));
      CHECK(status.ok());
      MESSAGE(std::string(what) << ": " << point - 1 << " points");
      return point - 1;
    }
    if (!status.ok() && status.code != Code::out_of_memory) FAIL("point " << point << ": " << std::string(status.text));
  }
}

std::unique_ptr<Task> make_task(const std::shared_ptr<Session>& session, Status& status) {
  ImageSpec spec;
  spec.width = spec.height = 16;
  std::vector<TaskDecoder> decoders(1);
  decoders[0].outputs = {0};
  std::unique_ptr<Task> task;
  status = make_decoder("segmentation", nullptr, 0, decoders[0].decoder);
  if (status.ok()) status = Task::make(session, {{0, spec}}, std::move(decoders), {}, {}, 1, task);
  return task;
}

FakeOptions options_of(int32_t side) {
  FakeOptions options;
  options.dims = {1, 3, side, side};
  return options;
}

TEST_CASE("a task's life: made, run, with more frames, with pools of the caller") {
  const Picture picture(20, 12, 1), larger(64, 48, 2);
  CHECK(fail_each("a task's life", [&] {
          std::unique_ptr<FakeSession> session;
          MNNLITE_TRY(FakeSession::make(std::make_shared<FakeArena>(), options_of(16), session));
          Status status;
          const std::unique_ptr<Task> task = make_task(std::shared_ptr<Session>(std::move(session)), status);
          MNNLITE_TRY(status);
          MNNLITE_TRY(task->run(&picture.item, 1));
          MNNLITE_TRY(task->allow_items(2));
          const TaskItem both[2] = {picture.item, larger.item};
          MNNLITE_TRY(task->run(both, 2));
          std::shared_ptr<SinkBuffer> spare;
          MNNLITE_TRY(task->exchange_results(0, spare));
          MNNLITE_TRY(task->run(&larger.item, 1));
          return winner(*task) == 2 ? Status{} : Status::error(Code::decoder, "another class won");
        }) > 20);
}

TEST_CASE("a task that was out of memory goes on as before") {
  const Picture picture(20, 12, 1), larger(64, 48, 2);
  CHECK(fail_each("a task that stays", [&] {
          const long point = failing.exchange(0);  // only what follows fails
          Rig rig(16);
          REQUIRE(rig.task->run(&picture.item, 1).ok());
          failing = point;
          const Status status = rig.task->allow_items(3);
          failing = 0;
          const TaskItem both[2] = {picture.item, larger.item};
          CHECK(rig.task->run(both, 2).ok() == status.ok());  // one was allowed before
          REQUIRE(rig.task->run(&larger.item, 1).ok());
          CHECK(winner(*rig.task) == 2);
          REQUIRE(rig.task->run(&picture.item, 1).ok());
          CHECK(winner(*rig.task) == 1);
          return status;
        }) > 0);
}

TEST_CASE("lanes: a frame is taken by all lanes or by none, and they end where there is no memory") {
  const Picture picture(20, 12, 1);
  CHECK(fail_each("lanes", [&] {
          const long point = failing.exchange(0);
          Rig first(16), second(16);
          const auto one = std::make_shared<GraphNode>(first.task), two = std::make_shared<GraphNode>(second.task);
          asked = 0;
          failing = point;
          Lanes lanes(2);
          std::shared_ptr<FrameJob> job = lanes.new_job();
          failing = 0;  // threads are the test's
          const auto serve = [&](size_t lane) {
            while (lanes.serve(lane) == Lanes::Wake::call) {}
          };
          std::thread threads[2] = {std::thread(serve, 0), std::thread(serve, 1)};
          failing = point;
          Status status;
          bool submitted = false;
          try {
            job->frame = picture.item;
            job->lanes[0].due.push_back({one, INT64_MAX});
            job->lanes[1].due.push_back({two, INT64_MAX});
            lanes.submit(job);
            submitted = true;
          } catch (const std::bad_alloc&) {
            status = Status::error(Code::out_of_memory, "thrown");
          }
          if (submitted) {
            while (!lanes.wait(*job, 1'000'000'000)) {}
            for (const FrameJob::LaneJob& each : job->lanes)
              if (!each.outcomes[0].status.ok()) status = each.outcomes[0].status;
          }
          if (lanes.in_flight() != 0) status = Status::error(Code::state, "a frame is said to be under way");
          lanes.release(std::move(job));
          lanes.stop(0);
          lanes.stop(1);
          failing = 0;
          threads[0].join();
          threads[1].join();
          return status;
        }) > 10);
}

}  // namespace
}  // namespace mnnlite
