// The engine room without its engine: the lock, branches, names, prints and the fake. Runs under ASan+UBSan and TSan.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/branches.hpp"
#include "engine/driver.hpp"
#include "engine/exclusive_lock.hpp"
#include "engine/fake_session.hpp"
#include "engine/log_capture.hpp"
#include "engine/options.hpp"
#include "engine/suggest.hpp"

using namespace mnnlite;

namespace {

std::unique_ptr<FakeSession> fake(const std::shared_ptr<FakeArena>& arena, const FakeOptions& options) {
  std::unique_ptr<FakeSession> session;
  REQUIRE(FakeSession::make(arena, options, session).ok());
  return session;
}

void fill(FakeSession& session, float value) {
  const TensorView input = session.input(0);
  float* data = static_cast<float*>(input.data);
  for (size_t i = 0; i < stored_elements(input); ++i) data[i] = value;
}

bool all_equal(const TensorView& output, float value) {
  const float* data = static_cast<const float*>(output.data);
  for (size_t i = 0; i < stored_elements(output); ++i)
    if (data[i] != value) return false;
  return true;
}

}  // namespace

TEST_CASE("sessions of one arena keep their inputs and outputs while the shared buffer is spoiled") {
  const auto arena = std::make_shared<FakeArena>();
  FakeOptions small, large;
  small.outputs = 2;
  large.dims = {1, 1000};
  const auto a = fake(arena, small), b = fake(arena, large);
  fill(*a, 2.0f);
  fill(*b, 5.0f);
  for (int round = 0; round < 3; ++round) {  // inputs are not filled again
    CHECK(a->run(kAllOutputs).ok());
    CHECK(b->run(kAllOutputs).ok());
    CHECK(all_equal(a->output(0), 2.0f));
    CHECK(all_equal(a->output(1), 4.0f));
    CHECK(all_equal(b->output(0), 5.0f));
  }
}

TEST_CASE("only wanted outputs are computed") {
  FakeOptions options;
  options.outputs = 2;
  const auto session = fake(std::make_shared<FakeArena>(), options);
  fill(*session, 1.0f);
  CHECK(session->run(kAllOutputs).ok());
  fill(*session, 3.0f);
  CHECK(session->run(OutputMask{1} << 1).ok());
  CHECK(all_equal(session->output(0), 1.0f));
  CHECK(all_equal(session->output(1), 6.0f));
}

TEST_CASE("a fake engine fails when asked, and is out of memory when its arena is too small") {
  FakeOptions options;
  options.fail_at_run = 1;
  const auto session = fake(std::make_shared<FakeArena>(), options);
  CHECK(session->run(kAllOutputs).ok());
  const Status failed = session->run(kAllOutputs);
  CHECK(failed.code == Code::engine);
  CHECK(failed.engine_code == 3);
  CHECK(session->run(kAllOutputs).ok());

  const auto arena = std::make_shared<FakeArena>(1000);
  FakeOptions fits, large;
  fits.dynamic_bytes = 800;
  large.dynamic_bytes = 2000;
  const auto a = fake(arena, fits), b = fake(arena, large);
  CHECK(b->run(kAllOutputs).code == Code::out_of_memory);
  fill(*a, 4.0f);
  CHECK(a->run(kAllOutputs).ok());
  CHECK(all_equal(a->output(0), 4.0f));
}

TEST_CASE("a lock lets one thread in and tells the others") {
  ExclusiveLock lock;
  {
    const ExclusiveGuard first(lock);
    CHECK(first.status().ok());
    const ExclusiveGuard second(lock);
    CHECK(second.status().code == Code::busy);
  }
  const ExclusiveGuard again(lock);
  CHECK(again.status().ok());
}

TEST_CASE("two threads on one arena: every run is either whole or refused") {
  const auto arena = std::make_shared<FakeArena>();
  const auto a = fake(arena, {}), b = fake(arena, {});
  std::atomic<int> whole{0}, refused{0}, wrong{0};
  const auto work = [&](FakeSession& session, float value) {
    for (int i = 0; i < 2000; ++i) {
      const ExclusiveGuard guard(session.lock());
      if (!guard.status().ok()) {
        ++refused;
        continue;
      }
      fill(session, value);
      if (!session.run(kAllOutputs).ok() || !all_equal(session.output(0), value)) ++wrong;
      ++whole;
    }
  };
  std::thread one(work, std::ref(*a), 1.0f), two(work, std::ref(*b), 2.0f);
  one.join();
  two.join();
  CHECK(wrong == 0);
  CHECK(whole + refused == 4000);
  CHECK(whole > 0);
}

TEST_CASE("a lock made before a fork is refused in the child") {
  ExclusiveLock lock;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const ExclusiveGuard guard(lock);
    ::_exit(lock.forked() && guard.status().code == Code::state ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_FALSE(lock.forked());
}

TEST_CASE("a branch is what its output reaches backwards") {
  // x -> trunk -> left -> a
  //            -> right -> b
  int x, trunk, left, right, a, b;
  BranchMap map;
  const BranchMap::Shape s{{1, 8}, 0}, t{{1, 4}, 0};
  map.add({&x}, {&trunk}, {s}, {s});
  map.add({&trunk}, {&left}, {s}, {s});
  map.add({&trunk}, {&right}, {s}, {s});
  map.add({&left}, {&a}, {s}, {t});
  map.add({&right}, {&b}, {s}, {t});
  const auto needed = map.needed({&a, &b}, {t, t}, {&x});
  CHECK(needed[0] == std::vector<uint8_t>{1, 1, 0, 1, 0});
  CHECK(needed[1] == std::vector<uint8_t>{1, 0, 1, 0, 1});
}

TEST_CASE("a tensor written in parts needs all of its writers") {
  int x, parts, y;
  BranchMap map;
  const BranchMap::Shape s{{2}, 0};
  map.add({&x}, {&parts}, {s}, {s});
  map.add({&x}, {&parts}, {s}, {s});
  map.add({&parts}, {&y}, {s}, {s});
  CHECK(map.needed({&y}, {s}, {&x})[0] == std::vector<uint8_t>{1, 1, 1});
}

TEST_CASE("a copy that no callback shows is found by its shape, and a constant is not") {
  int x, produced, hidden_copy, other, constant, y;
  BranchMap map;
  const BranchMap::Shape s{{1, 8}, 0}, odd{{7}, 0}, o{{3}, 0};
  map.add({&x}, {&produced}, {s}, {s});
  map.add({&x}, {&other}, {s}, {o});
  map.add({&hidden_copy, &constant}, {&y}, {s, odd}, {s});
  CHECK(map.needed({&y}, {s}, {&x})[0] == std::vector<uint8_t>{1, 0, 1});
}

TEST_CASE("an unknown name is answered with the closest and with all there are") {
  const Status status = unknown_name("output", "scroes", {"boxes", "scores"});
  CHECK(status.code == Code::tensor_not_found);
  CHECK(std::string(status.text) ==
        "no output \"scroes\"; did you mean \"scores\"? The model has \"boxes\", \"scores\"");
  CHECK(std::string(unknown_name("input", "x", {"image"}).text) == "no input \"x\"; the model has \"image\"");
  const std::vector<std::string> many(200, "a_rather_long_name");
  CHECK(std::strlen(unknown_name("input", std::string(500, 'n').c_str(), many).text) < sizeof(Status::text));
}

TEST_CASE("a capture keeps what fits and hands it to the one around it") {
  LogCapture outer;
  {
    LogCapture inner;
    inner.append("abc", 3);
    CHECK(std::string(inner.text()) == "abc");
    CHECK(std::string(outer.text()).empty());
  }
  CHECK(std::string(outer.text()) == "abc");
  const std::string much(10000, 'x');
  outer.append(much.data(), much.size());
  CHECK(std::strlen(outer.text()) == 4095);
}

TEST_CASE("a library that is not loaded has no prints to redirect") {
  CHECK(redirect_engine_log("/no/such/library.so") == 0);
}

TEST_CASE("a backend's options are refused where it would not notice them, or take them for something else") {
  struct Case {
    std::vector<std::pair<const char*, const char*>> words;
    int32_t threads;
    const char* says;  // null: fine
  };
  const Case cases[] = {
      {{}, 4, nullptr},
      {{{"winograd", "small"}, {"weights", "mapped"}}, 1, nullptr},
      {{{"tuning", "fast"}}, 1, "tuning is 'fast', which is for GPUs"},
      {{{"gpu_memory", "image"}}, 1, "gpu_memory is 'image', which is for GPUs"},
      {{{"backend", "opencl"}, {"tuning", "heavy"}, {"gpu_memory", "buffer"}}, 1, nullptr},
      {{{"backend", "opencl"}}, 2, "threads is 2, but backend 'opencl' has none"},
      {{{"backend", "opencl"}, {"winograd", "none"}}, 1, "winograd is 'none', which does nothing"},
      {{{"backend", "vulkan"}, {"weights", "mapped"}}, 1, "weights is 'mapped', which does nothing"},
      {{{"backend", "vulkan"}, {"gpu_memory", "image"}}, 1, "which is for backend 'opencl'"},
      {{{"backend", "vulkan"}, {"tuning", "fast"}}, 1, "it has 'none', 'wide', 'heavy'"},
      {{{"backend", "vulkan"}, {"tuning", "wide"}, {"precision", "high"}}, 1, nullptr},
  };
  for (const Case& each : cases) {
    ArenaOptions options;
    options.threads = each.threads;
    for (const auto& [name, word] : each.words) REQUIRE(set_option(options, name, word).ok());
    const Status status = check_options(options);
    CHECK(status.ok() == !each.says);
    if (each.says) {
      CAPTURE(status.text);
      CHECK(std::strstr(status.text, each.says));
      CHECK(status.code == Code::argument);
    }
  }
}

TEST_CASE("tuning and memory are one bit each of what a GPU gets for threads") {
  ArenaOptions options;
  CHECK(gpu_mode(options) == 1);
  std::vector<const char*> tunings, memories;
  REQUIRE(option_words("tuning", tunings).ok());
  REQUIRE(option_words("gpu_memory", memories).ok());
  std::vector<int32_t> seen;
  for (const char* tuning : tunings)
    for (const char* memory : memories) {
      REQUIRE(set_option(options, "tuning", tuning).ok());
      REQUIRE(set_option(options, "gpu_memory", memory).ok());
      const int32_t mode = gpu_mode(options), of_tuning = mode & 31, of_memory = mode & 192;
      CHECK((of_tuning & (of_tuning - 1)) == 0);
      CHECK(of_tuning != 0);
      CHECK((of_memory & (of_memory - 1)) == 0);
      CHECK(std::find(seen.begin(), seen.end(), mode) == seen.end());
      seen.push_back(mode);
    }
  CHECK(seen.size() == 12);
}

TEST_CASE("a session's main backend has the word of the option") {
  ArenaOptions options;
  for (const auto& [number, word] : {std::pair{0, "cpu"}, {13, "cpu"}, {3, "opencl"}, {6, "opengl"}, {7, "vulkan"}}) {
    CHECK(std::string(backend_word(number)) == word);
    CHECK(set_option(options, "backend", word).ok());
  }
  CHECK(std::string(backend_word(2)) == "other");
}

TEST_CASE("a device that is not there has a reason") {
  std::string reason;
  for (const BackendKind kind : {BackendKind::opencl, BackendKind::vulkan}) {
    const std::vector<GpuDevice> devices = gpu_devices(kind, reason);
    CHECK((kind == BackendKind::vulkan || devices.empty() != reason.empty()));
    for (const GpuDevice& each : devices) CHECK(!each.name.empty());
  }
  CHECK(gpu_devices(BackendKind::cpu, reason).empty());
}
