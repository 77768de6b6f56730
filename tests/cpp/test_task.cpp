// A task over the fake engine: pictures in, rows out, no Python and no MNN.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "decode/registry.hpp"
#include "engine/exclusive_lock.hpp"
#include "engine/fake_session.hpp"
#include "task/task.hpp"
#include "task_rig.hpp"

using namespace mnnlite;

TEST_CASE("a frame becomes a result") {
  Rig rig(8);
  for (int channel = 0; channel < 3; ++channel) {
    const Picture picture(31, 17, channel);
    const Status status = rig.task->run(&picture.item, 1);
    INFO(status.text);
    REQUIRE(status.ok());
    CHECK(winner(*rig.task) == channel);
  }
  CHECK(rig.task->times().infer >= 0);
}

TEST_CASE("several frames of different sizes and formats fill one batch") {
  Rig rig(4, 3);
  Picture a(9, 9, 0), b(40, 3, 1), c(5, 60, 0);
  c.item.view.format = Format::bgr;  // channel 0 is blue: the third of the network's RGB
  const TaskItem items[3] = {a.item, b.item, c.item};
  REQUIRE(rig.task->run(items, 3).ok());
  CHECK(winner(*rig.task, 0) == 0);
  CHECK(winner(*rig.task, 1) == 1);
  CHECK(winner(*rig.task, 2) == 2);
  CHECK(rig.task->run(items, 4).code == Code::argument);
  CHECK(rig.task->run(items, 0).code == Code::argument);
}

TEST_CASE("an engine error is the task's, and the next frame works") {
  FakeOptions options;
  options.fail_at_run = 1;
  Rig rig(8, 1, options);
  const Picture picture(10, 10, 2);
  CHECK(rig.task->run(&picture.item, 1).ok());
  CHECK(rig.task->run(&picture.item, 1).code == Code::engine);
  CHECK(rig.task->run(&picture.item, 1).ok());
  CHECK(winner(*rig.task) == 2);
}

TEST_CASE("a task whose arena is in use is busy") {
  Rig rig(8);
  const Picture picture(10, 10, 2);
  const ExclusiveGuard other(rig.session->lock());
  CHECK(rig.task->run(&picture.item, 1).code == Code::busy);
}

TEST_CASE("state carries an output to the next frame and is forgotten on demand") {
  const auto arena = std::make_shared<FakeArena>();
  FakeOptions options;
  options.outputs = 2;  // output 1 is twice the input
  std::unique_ptr<FakeSession> fake;
  REQUIRE(FakeSession::make(arena, options, fake).ok());
  const std::shared_ptr<Session> session = std::move(fake);
  std::unique_ptr<Task> task;
  REQUIRE(Task::make(session, {}, {}, {0, 1}, {{0, 1}}, 1, task).ok());
  float* x = static_cast<float*>(session->input(0).data);
  x[0] = 3;
  REQUIRE(task->run(nullptr, 0).ok());
  CHECK(x[0] == 6);
  REQUIRE(task->run(nullptr, 0).ok());
  CHECK(x[0] == 12);
  REQUIRE(task->reset_state().ok());
  CHECK(x[0] == 0);
}

TEST_CASE("only outputs that somebody reads are asked for") {
  const auto arena = std::make_shared<FakeArena>();
  FakeOptions options;
  options.outputs = 4;
  options.dims = {1, 3, 8, 8};
  std::unique_ptr<FakeSession> fake;
  REQUIRE(FakeSession::make(arena, options, fake).ok());
  const std::shared_ptr<FakeSession> session = std::move(fake);
  CHECK(session->wanted() == 0);
  std::vector<TaskDecoder> decoders(1);
  decoders[0].outputs = {2};
  REQUIRE(make_decoder("segmentation", nullptr, 0, decoders[0].decoder).ok());
  std::unique_ptr<Task> decoded, kept, remembered;
  REQUIRE(Task::make(session, {{0, ImageSpec{}}}, std::move(decoders), {}, {}, 1, decoded).ok());
  const Picture green(8, 8, 1);
  REQUIRE(decoded->run(&green.item, 1).ok());
  CHECK(session->wanted() == mask_of(2));
  REQUIRE(Task::make(session, {}, {}, {1}, {}, 1, kept).ok());
  REQUIRE(kept->run(nullptr, 0).ok());
  CHECK(session->wanted() == mask_of(1));
  REQUIRE(Task::make(session, {}, {}, {1}, {{0, 3}}, 1, remembered).ok());
  REQUIRE(remembered->run(nullptr, 0).ok());
  CHECK(session->wanted() == (mask_of(1) | mask_of(3)));
}

TEST_CASE("results that are still held are not written over when the sink is renewed") {
  Rig rig(8);
  const Picture red(10, 10, 0), blue(10, 10, 2);
  REQUIRE(rig.task->run(&red.item, 1).ok());
  const std::shared_ptr<SinkBuffer> held = rig.task->results(0);
  REQUIRE(rig.task->renew_results(0).ok());
  REQUIRE(rig.task->run(&blue.item, 1).ok());
  CHECK(winner(*rig.task) == 2);
  CHECK(held->sink().pixels[held->sink().rows[0].first_pixel] == 0);
}

TEST_CASE("two tasks of one arena on two threads: whole or busy") {
  Rig rig(8);
  const auto work = [&](int channel, int& wrong) {
    const Picture picture(20, 20, channel);
    for (int i = 0; i < 200; ++i) {
      const Status status = rig.task->run(&picture.item, 1);
      if (!status.ok() && status.code != Code::busy) ++wrong;
    }
  };
  int wrong_a = 0, wrong_b = 0;
  std::thread a(work, 0, std::ref(wrong_a)), b(work, 1, std::ref(wrong_b));
  a.join();
  b.join();
  CHECK(wrong_a + wrong_b == 0);
}

TEST_CASE("a plan for old tensors never runs on new ones") {
  auto arena = std::make_shared<FakeArena>();
  std::unique_ptr<FakeSession> made;
  FakeOptions options;
  options.dims = {1, 3, 16, 16};
  REQUIRE(FakeSession::make(arena, options, made).ok());
  const std::shared_ptr<FakeSession> session = std::move(made);
  std::vector<TaskDecoder> decoders(1);
  decoders[0].outputs = {0};
  REQUIRE(make_decoder("segmentation", nullptr, 0, decoders[0].decoder).ok());
  ImageSpec spec;  // of the tensor's own size
  std::unique_ptr<Task> task;
  REQUIRE(Task::make(session, {{0, spec}}, std::move(decoders), {}, {}, 1, task).ok());
  const Picture green(20, 20, 1);
  for (const int32_t side : {16, 4, 40}) {
    if (side != 16) REQUIRE(session->resize({1, 3, side, side}).ok());
    const Status status = task->run(&green.item, 1);
    INFO(status.text);
    REQUIRE(status.ok());
    CHECK(winner(*task) == 1);
  }
  REQUIRE(session->resize({1, 4, 16, 16}).ok());  // no picture has four of these channels
  CHECK_FALSE(task->run(&green.item, 1).ok());
  CHECK_FALSE(task->run(&green.item, 1).ok());
}

TEST_CASE("a state whose tensors no longer fit each other is refused, not copied") {
  auto arena = std::make_shared<FakeArena>();
  std::unique_ptr<FakeSession> made;
  FakeOptions options;
  options.output_dims = {1, 16};  // whatever the input's are
  REQUIRE(FakeSession::make(arena, options, made).ok());
  const std::shared_ptr<FakeSession> session = std::move(made);
  std::unique_ptr<Task> task;
  REQUIRE(Task::make(session, {}, {}, {0}, {{0, 0}}, 1, task).ok());
  REQUIRE(task->run(nullptr, 0).ok());
  REQUIRE(session->resize({1, 4}).ok());
  const Status refused = task->run(nullptr, 0);
  CHECK(refused.code == Code::argument);
  CHECK(std::strstr(refused.text, "(64 and 16 bytes)") != nullptr);
  REQUIRE(session->resize({1, 16}).ok());
  CHECK(task->run(nullptr, 0).ok());
}

TEST_CASE("resize, run and reset on several threads: whole or busy") {
  auto arena = std::make_shared<FakeArena>();
  std::unique_ptr<FakeSession> made;
  FakeOptions options;
  options.dims = {1, 3, 16, 16};
  REQUIRE(FakeSession::make(arena, options, made).ok());
  const std::shared_ptr<FakeSession> session = std::move(made);
  std::vector<TaskDecoder> decoders(1);
  decoders[0].outputs = {0};
  REQUIRE(make_decoder("segmentation", nullptr, 0, decoders[0].decoder).ok());
  std::unique_ptr<Task> task;
  REQUIRE(Task::make(session, {{0, ImageSpec{}}}, std::move(decoders), {}, {}, 1, task).ok());
  std::atomic<int> wrong{0};
  const auto run = [&](int channel) {
    const Picture picture(20, 20, channel);
    for (int i = 0; i < 200; ++i) {
      const Status status = task->run(&picture.item, 1);
      if (!status.ok() && status.code != Code::busy) ++wrong;
    }
  };
  std::thread a(run, 0), b(run, 1), c([&] {
    for (int i = 0; i < 200; ++i) {
      const ExclusiveGuard guard(session->lock());
      if (guard.status().ok() && !session->resize({1, 3, 8 + i % 3 * 8, 8}).ok()) ++wrong;
    }
  }),
      d([&] {
        for (int i = 0; i < 200; ++i)
          if (const Status status = task->reset_state(); !status.ok() && status.code != Code::busy) ++wrong;
      });
  a.join();
  b.join();
  c.join();
  d.join();
  CHECK(wrong == 0);
}
