// Registry, options and plug-ins: what is refused, and how it says so.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "decode_harness.hpp"

using namespace mnnlite;
using namespace mnnlite::test;

TEST_CASE("raw is a family and decodes nothing") {
  CHECK(std::strcmp(decoder_families().front(), "raw") == 0);
  Planned raw("raw");
  REQUIRE(raw.status.ok());
  Tensor tensor({1, 3});
  REQUIRE(raw.plan({tensor.view}).ok());
  CHECK(raw.needs.kind == MNNLITE_RAW);
  CHECK(raw.decode({tensor.view}, {whole_frame(8, 8, 8, 8)}).ok());
  CHECK(raw.rows().empty());
}

TEST_CASE("options are checked when a decoder is made") {
  struct Case {
    const char* family;
    mnnlite_option option;
    const char* words;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Case cases[] = {
      {"fastestdet", number("score", nan), "\"score\" must be in [0, 1], got nan"},
      {"fastestdet", number("score", 1.5), "\"score\" must be in [0, 1], got 1.5"},
      {"fastestdet", number("max_detections", 2.5), "\"max_detections\" must be a whole number"},
      {"fastestdet", text("score", "much"), "\"score\" must be a number, got a text"},
      {"fastestdet", number("scor", 0.5), "fastestdet has no option \"scor\""},
      {"classification", text("activation", "tanh"), "one of \"softmax\", \"sigmoid\", \"none\", got \"tanh\""},
      {"nothing", number("score", 0.5), "no decoder family \"nothing\""},
  };
  for (const Case& c : cases) {
    const Planned made(c.family, {c.option});
    CHECK(made.status.code == Code::argument);
    CHECK_MESSAGE(contains(made.status.text, c.words), made.status.text);
    CHECK(made.decoder == nullptr);
  }
}

TEST_CASE("a decoder refuses tensors that it was not planned for") {
  Planned decoder("fastestdet");
  Tensor small({1, 7, 4, 4}), large({1, 7, 40, 40});
  const mnnlite_item item = whole_frame(64, 64, 64, 64);
  CHECK_FALSE(decoder.decode({small.view}, {item}).ok());  // before any plan
  REQUIRE(decoder.plan({small.view}).ok());
  CHECK(decoder.decode({small.view}, {item}).ok());
  const Status status = decoder.decode({large.view}, {item});
  CHECK(status.code == Code::decoder);
  CHECK_MESSAGE(contains(status.text, "\"y\" is [1, 7, 40, 40] float32 plain but was planned as [1, 7, 4, 4]"),
                status.text);
  CHECK_FALSE(decoder.decode({}, {item}).ok());
  CHECK_FALSE(decoder.decode({small.view}, {item, item}).ok());  // more items than planned
  TensorView empty = small.view;
  empty.data = nullptr;
  CHECK_FALSE(decoder.decode({empty}, {item}).ok());
  mnnlite_item lost = item;
  lost.to_frame[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(decoder.decode({small.view}, {lost}).ok());
  CHECK(decoder.decode({small.view}, {}).ok());
  CHECK_FALSE(decoder.plan({small.view}, 2).ok());         // two items do not fit a batch of one
  CHECK_FALSE(decoder.decode({small.view}, {item}).ok());  // a failed plan leaves nothing usable
}

// ---- plug-ins

namespace {

struct Mock {
  int rows_written = 1;
  int32_t value_count = 0;
  bool move_pool = false;
  bool overflow = false;
};

int create(const mnnlite_option*, int32_t n_options, void** self, char* error) {
  if (n_options > 0) {
    std::strcpy(error, "takes no options");
    return 7;
  }
  *self = new Mock;
  return 0;
}
int plan(void*, const mnnlite_tensor*, int32_t n_tensors, int32_t, mnnlite_needs* needs) {
  if (n_tensors != 1) {
    std::strcpy(needs->error, "wants one tensor");
    return 3;
  }
  needs->kind = MNNLITE_DETECTIONS;
  needs->rows = 4;
  return 0;
}
Mock behaviour;
int decode(void*, const mnnlite_tensor*, int32_t, const mnnlite_item* items, int32_t, mnnlite_sink* sink, void*) {
  if (behaviour.rows_written < 0) {
    std::strcpy(sink->error, "saw nothing");
    return -1;
  }
  sink->rows[0] = mnnlite_row{};
  sink->rows[0].item = items[0].item;
  sink->rows[0].value_count = behaviour.value_count;
  sink->row_count = behaviour.rows_written;
  if (behaviour.overflow) sink->values[0] = 1;
  if (behaviour.move_pool) sink->rows = nullptr;
  return 0;
}
void destroy(void* self) { delete static_cast<Mock*>(self); }

const mnnlite_decoder_v2 kTable = {
    MNNLITE_DECODER_ABI, sizeof(mnnlite_decoder_v2), "mock", create, plan, decode, destroy};

Status adopt(const mnnlite_decoder_v2& table, std::unique_ptr<Decoder>& decoder) {
  return adopt_decoder(&table, nullptr, 0, decoder);
}

}  // namespace

TEST_CASE("a plug-in built for another header is refused") {
  std::unique_ptr<Decoder> decoder;
  mnnlite_decoder_v2 table = kTable;
  table.abi_version = 1;
  CHECK(adopt(table, decoder).code == Code::decoder_abi);
  CHECK(contains(adopt(table, decoder).text, "version 1 of decoder.h, this mnnlite has version 2"));
  table = kTable;
  table.struct_size -= 8;
  CHECK(adopt(table, decoder).code == Code::decoder_abi);
  table = kTable;
  table.decode = nullptr;
  CHECK(adopt(table, decoder).code == Code::decoder_abi);
  table = kTable;
  table.name = nullptr;
  CHECK(adopt(table, decoder).code == Code::decoder_abi);
  CHECK(adopt_decoder(nullptr, nullptr, 0, decoder).code == Code::decoder_abi);
  table = kTable;
  table.struct_size += 8;  // a newer header of the same version
  CHECK(adopt(table, decoder).ok());
}

TEST_CASE("what a plug-in returns is checked before anyone reads it") {
  Planned plugin("raw");
  REQUIRE(adopt(kTable, plugin.decoder).ok());
  Tensor tensor({1, 3});
  const mnnlite_item item = whole_frame(8, 8, 8, 8, 5);
  behaviour = Mock{};
  REQUIRE(plugin.plan({tensor.view}).ok());
  REQUIRE(plugin.decode({tensor.view}, {item}).ok());
  CHECK(plugin.rows().front().item == 5);
  for (const Mock& bad : {Mock{5, 0}, Mock{-1, 0}, Mock{1, 1}, Mock{1, -3}, Mock{1, 0, true}}) {
    behaviour = bad;
    const Status status = plugin.decode({tensor.view}, {item});
    CHECK(status.code == Code::decoder);
    CHECK_MESSAGE(contains(status.text, "mock: "), status.text);
    CHECK(plugin.rows().empty());
    CHECK(plugin.buffer.sink().rows != nullptr);
  }
  // Tried on zeros when it is planned, with guards behind the pools: it asked for no values.
  behaviour = Mock{1, 0, false, true};
  const Status beyond = plugin.plan({tensor.view});
  CHECK_MESSAGE(contains(beyond.text, "mock: decode wrote beyond the values that plan asked for"), beyond.text);
  behaviour = Mock{-1, 0};
  CHECK(contains(plugin.plan({tensor.view}).text, "saw nothing"));
  const Status refused = plugin.plan({tensor.view, tensor.view});
  CHECK_MESSAGE(contains(refused.text, "mock: wants one tensor (plan returned 3)"), refused.text);
  const mnnlite_option option = number("x", 1);
  std::unique_ptr<Decoder> decoder;
  const Status uncreated = adopt_decoder(&kTable, &option, 1, decoder);
  CHECK_MESSAGE(contains(uncreated.text, "mock: takes no options (create returned 7)"), uncreated.text);
}

TEST_CASE("pools that cannot be had are an error and leave an empty sink") {
  SinkBuffer buffer;
  mnnlite_needs needs{};
  needs.rows = -1;
  CHECK(buffer.reserve(needs).code == Code::decoder);
  needs.rows = 3;
  needs.values = 7;
  REQUIRE(buffer.reserve(needs).ok());
  CHECK(buffer.sink().row_capacity == 3);
  CHECK(buffer.sink().value_capacity == 7);
  CHECK(buffer.bytes() >= 3 * sizeof(mnnlite_row) + 7 * sizeof(float));
}
