// The verifier on the test networks, whole and damaged at every byte. Runs under ASan and UBSan: what it must never do
// is read outside of the bytes it is given, so each model is copied to a block of exactly its size.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/verify.hpp"
#include "engine/verify_reader.hpp"
#include "engine/verify_shapes.hpp"

using namespace mnnlite;

namespace {

struct Bytes {
  std::unique_ptr<uint8_t[]> data;
  size_t size = 0;
  Bytes() = default;
  Bytes(const uint8_t* from, size_t length) : data(new uint8_t[length]), size(length) {
    std::memcpy(data.get(), from, length);
  }
};

Bytes read(const char* name) {
  const std::string path = std::string(MNNLITE_TEST_DATA "/") + name;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  REQUIRE_MESSAGE(file, path);
  std::vector<uint8_t> content;
  uint8_t part[4096];
  for (size_t got; (got = std::fread(part, 1, sizeof part, file)) > 0;) content.insert(content.end(), part, part + got);
  std::fclose(file);
  return Bytes(content.data(), content.size());
}

Status verified(const Bytes& bytes, const VerifyOptions& options = {}) {
  VerifiedModel result;
  return verify_model(bytes.data.get(), bytes.size, options, result);
}

// The shapes that the file gives its inputs; open axes are 1 or, of pictures, 32.
std::vector<NamedShape> declared(const Bytes& bytes) {
  std::vector<NamedShape> shapes;
  uint32_t offset;
  std::memcpy(&offset, bytes.data.get(), 4);
  const Record net(bytes.data.get() + offset);
  for (uint32_t i = 0; i < net.records(3); ++i) {
    const Record op = net.record(3, i);
    if (op.number(5) != kInput) continue;
    const auto dims = op.record(2).values<int32_t>(0);
    NamedShape shape{net.text(7, static_cast<uint32_t>(op.values<int32_t>(4)[0])), {}};
    for (uint32_t axis = 0; axis < dims.size(); ++axis)
      shape.dims.push_back(dims[axis] > 0 ? dims[axis] : axis == 0 ? 1 : 32);
    shapes.push_back(shape);
  }
  return shapes;
}

bool says(const Status& status, const char* text) { return std::strstr(status.text, text) != nullptr; }

constexpr const char* kNetworks[] = {"big.mnn",    "branches.mnn", "classes.mnn", "content.mnn",
                                     "nc4hw4.mnn", "nhwc.mnn",     "ranks.mnn",   "resizable.mnn",
                                     "state.mnn",  "tiny.mnn",     "types.mnn",   "unrunnable.mnn"};

// The byte that a table's scalar field lies at.
uint8_t* field(Bytes& bytes, size_t table, int slot) {
  int32_t back;
  std::memcpy(&back, bytes.data.get() + table, 4);
  uint16_t offset;
  std::memcpy(&offset, bytes.data.get() + table - back + 4 + 2 * slot, 2);
  REQUIRE(offset != 0);
  return bytes.data.get() + table + offset;
}

size_t follow(Bytes& bytes, size_t table, int slot) {
  const uint8_t* at = field(bytes, table, slot);
  uint32_t offset;
  std::memcpy(&offset, at, 4);
  return static_cast<size_t>(at - bytes.data.get()) + offset;
}

size_t root(Bytes& bytes) {
  uint32_t offset;
  std::memcpy(&offset, bytes.data.get(), 4);
  return offset;
}

size_t operator_at(Bytes& bytes, uint32_t index) {
  const size_t list = follow(bytes, root(bytes), 3), at = list + 4 + 4 * index;
  uint32_t offset;
  std::memcpy(&offset, bytes.data.get() + at, 4);
  return at + offset;
}

}  // namespace

TEST_CASE("every test network is accepted") {
  for (const char* name : kNetworks) {
    INFO(name);
    const Bytes bytes = read(name);
    const Status status = verified(bytes);
    if (std::string(name) == "content.mnn") {
      CHECK(status.code == Code::unsupported_model);
      CHECK_MESSAGE(says(status, "cut before it: outputs=["), status.text);
    } else {
      CHECK_MESSAGE(status.ok(), status.text);
    }
  }
}

TEST_CASE("every length of a cut network is refused, and read no further than it goes") {
  const Bytes whole = read("branches.mnn");
  for (size_t length = 0; length < whole.size; ++length) {
    const Bytes cut(whole.data.get(), length);
    VerifiedModel result;
    const Status status = verify_model(cut.data.get(), cut.size, {}, result);
    if (status.ok()) CHECK(whole.size - length < 8);  // what is padded at the end is not read
  }
}

TEST_CASE("no change of one byte makes the verifier read outside") {
  for (const char* name : kNetworks) {
    Bytes bytes = read(name);
    if (bytes.size > 20000) continue;
    for (size_t at = 0; at < bytes.size; ++at)
      for (const int change : {0x01, 0x80, 0xff, 0x10}) {
        bytes.data[at] = static_cast<uint8_t>(bytes.data[at] ^ change);
        if (verified(bytes).ok()) (void)verify_shapes(bytes.data.get(), declared(bytes), {});
        bytes.data[at] = static_cast<uint8_t>(bytes.data[at] ^ change);
      }
  }
}

TEST_CASE("nor do many changes at once, of bytes and of words") {
  std::mt19937 random(17);
  for (const char* name : kNetworks) {
    const Bytes whole = read(name);
    for (int round = 0; round < 300; ++round) {
      Bytes bytes(whole.data.get(), whole.size);
      for (int change = 0; change < 8; ++change) {
        const size_t at = random() % (bytes.size - 4);
        if (random() % 2) {
          const uint32_t word = random() % 2 ? random() : random() % 64;
          std::memcpy(bytes.data.get() + at / 4 * 4, &word, 4);
        } else {
          bytes.data[at] = static_cast<uint8_t>(random());
        }
      }
      if (verified(bytes).ok()) (void)verify_shapes(bytes.data.get(), declared(bytes), {});
    }
  }
}

TEST_CASE("shapes of every test network fit") {
  for (const char* name : kNetworks) {
    INFO(name);
    const Bytes bytes = read(name);
    if (!verified(bytes).ok()) continue;
    const Status status = verify_shapes(bytes.data.get(), declared(bytes), {});
    CHECK_MESSAGE(status.ok(), status.text);
  }
}

TEST_CASE("channels that the weights are not for are refused, in a branch that is run") {
  const Bytes bytes = read("branches.mnn");
  std::vector<NamedShape> shapes = declared(bytes);
  REQUIRE(shapes.size() == 1);
  REQUIRE(shapes[0].dims.size() == 4);
  shapes[0].dims[1] += 1;
  const Status status = verify_shapes(bytes.data.get(), shapes, {});
  CHECK(status.code == Code::unsupported_model);
  CHECK_MESSAGE(says(status, "channels"), status.text);
  CHECK(verify_shapes(bytes.data.get(), shapes, {"no such output"}).ok());  // nothing is run
  shapes[0].dims[1] -= 1;
  shapes[0].dims[2] = shapes[0].dims[3] = 1 << 15;
  CHECK(!verify_shapes(bytes.data.get(), shapes, {}).ok());  // larger than can be counted
}

TEST_CASE("an operator's faults are named with its number, name and type") {
  Bytes bytes = read("branches.mnn");
  const size_t first = operator_at(bytes, 1);
  SUBCASE("a tensor that is not there") {
    const int32_t index = 10000;
    std::memcpy(bytes.data.get() + follow(bytes, first, 4) + 4, &index, 4);
    CHECK(says(verified(bytes), "it uses a tensor that is not there"));
    CHECK(says(verified(bytes), "operator 1 \""));
  }
  SUBCASE("another operator's attribute") {
    *field(bytes, first, 1) = 1;  // a quantised addition's
    CHECK(verified(bytes).code == Code::model_format);
  }
  SUBCASE("no attribute") {
    *field(bytes, first, 1) = 0;
    const Status status = verified(bytes);
    CHECK_MESSAGE(says(status, "attribute is missing"), status.text);
  }
  SUBCASE("a type that the engine would look up outside of its table") {
    const int32_t type = 5000;
    std::memcpy(field(bytes, first, 5), &type, 4);
    CHECK(says(verified(bytes), "operator type 5000"));
    VerifyOptions newer;
    newer.last_type = INT32_MAX;
    CHECK(verified(bytes, newer).ok());  // not refused for being unknown
  }
  SUBCASE("a type between ours that a newer engine may know") {
    const int32_t type = 400;
    std::memcpy(field(bytes, first, 5), &type, 4);
    CHECK(verified(bytes).ok());
  }
}

TEST_CASE("control characters of names do not get into errors") {
  Bytes bytes = read("branches.mnn");
  const size_t first = operator_at(bytes, 1);
  bytes.data[follow(bytes, first, 3) + 4] = 0x1b;
  *field(bytes, first, 1) = 0;
  const Status status = verified(bytes);
  CHECK(!status.ok());
  CHECK(std::strchr(status.text, 0x1b) == nullptr);
}

TEST_CASE("nothing, garbage and other formats are not models") {
  CHECK(!verified(Bytes()).ok());
  const uint8_t garbage[64] = {0xff, 0xff, 0xff, 0x7f};
  CHECK(!verified(Bytes(garbage, sizeof garbage)).ok());
  const uint8_t zeros[64] = {};
  CHECK(!verified(Bytes(zeros, sizeof zeros)).ok());
}
