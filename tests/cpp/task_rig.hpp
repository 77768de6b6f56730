// A task over the fake engine, and pictures for it.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "decode/registry.hpp"
#include "engine/fake_session.hpp"
#include "task/task.hpp"

namespace mnnlite {

// A network of `side` x `side` whose output is its input, classified: the brightest of three channels wins.
struct Rig {
  std::shared_ptr<FakeArena> arena = std::make_shared<FakeArena>();
  std::shared_ptr<Session> session;
  std::shared_ptr<Task> task;

  explicit Rig(int32_t side, int32_t batch = 1, FakeOptions options = {}, std::shared_ptr<FakeArena> shared = nullptr) {
    if (shared) arena = std::move(shared);
    options.dims = {batch, 3, side, side};
    std::unique_ptr<FakeSession> fake;
    REQUIRE(FakeSession::make(arena, options, fake).ok());
    session = std::move(fake);
    ImageSpec spec;
    spec.width = spec.height = side;
    std::vector<TaskDecoder> decoders(1);
    decoders[0].outputs = {0};
    REQUIRE(make_decoder("segmentation", nullptr, 0, decoders[0].decoder).ok());
    std::unique_ptr<Task> made;
    const Status status = Task::make(session, {{0, spec}}, std::move(decoders), {}, {}, batch, made);
    INFO(status.text);
    REQUIRE(status.ok());
    task = std::move(made);
  }
};

struct Picture {
  std::vector<uint8_t> pixels;
  TaskItem item;

  Picture(int32_t width, int32_t height, int channel) : pixels(static_cast<size_t>(width) * height * 3, 0) {
    for (size_t i = static_cast<size_t>(channel); i < pixels.size(); i += 3) pixels[i] = 200;
    item.view.format = Format::rgb;
    item.view.width = width;
    item.view.height = height;
    item.view.plane[0] = pixels.data();
    item.view.stride[0] = width * 3;
    item.region.width = width;
    item.region.height = height;
  }
};

inline int winner(const Task& task, int item = 0) {
  const mnnlite_sink& sink = task.results(0)->sink();
  for (int row = 0; row < sink.row_count; ++row)
    if (sink.rows[row].item == item) return sink.pixels[sink.rows[row].first_pixel];
  return -1;
}

}  // namespace mnnlite
