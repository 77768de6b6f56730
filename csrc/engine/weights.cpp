#include "engine/weights.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

#include "engine/got_hook.hpp"
#include "engine/library.hpp"
#include "engine/pages.hpp"

namespace mnnlite {
namespace {

// Blocks from a page on go to the file. Rounding up to pages wastes space there, which is dropped when memory is short; the
// mappings of neighbours become one. Eleven networks of mediapipe held 1.2 MiB in blocks of less than four pages.
constexpr size_t kLeastFiledPages = 1;
// Where nothing goes to a file: the size from which glibc gives a block a mapping, until the process frees a larger one
// (M_MMAP_THRESHOLD). Such a block would lie in the heap of whatever thread loaded the network, and what is free at a
// heap's end stays with the process (core/heap.cpp). A sanitizer is to see the engine's blocks itself.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kLeastBytes = SIZE_MAX;
#else
constexpr size_t kLeastBytes = size_t{128} << 10;
#endif
// So many pages of nothing but zeros are not written: memory that was not used yet, such as outputs.
constexpr size_t kGapPages = 16;

struct MappedBlock {
  size_t size;  // whole pages
  uint64_t owner;
  uint64_t inode = 0;  // of the file it was moved to
  size_t filed = 0;    // bytes of it that lie there
};

// All blocks that are mappings of their own, by address. Never destroyed: the engine frees at any time.
struct Registry {
  std::mutex mutex;
  std::map<uintptr_t, MappedBlock> blocks;
};

Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

// The child of a fork frees blocks of its parent: the registry is whole there, and its lock is free.
[[maybe_unused]] const int registered = ::pthread_atfork(
    [] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); }, [] { registry().mutex.unlock(); });

struct Collecting {
  uint64_t owner = 0;
  size_t least = SIZE_MAX;  // bytes
};

thread_local Collecting collecting;

struct Watching {
  size_t least = SIZE_MAX;
  void* block = nullptr;
  size_t size = 0;
};

struct Offer {
  void* pages = nullptr;
  size_t pages_bytes = 0, size = 0;
  bool taken = false;
};

thread_local Watching watching;
thread_local Offer offer;

// Whole pages become a block of the engine's.
bool own_block(void* memory, size_t whole, uint64_t owner) noexcept try {
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  all.blocks[reinterpret_cast<uintptr_t>(memory)] = MappedBlock{whole, owner};
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void* map_block(size_t size, uint64_t owner) noexcept {
  const size_t whole = whole_pages(size);
  void* const memory = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (own_block(memory, whole, owner)) return memory;
  ::munmap(memory, whole);
  return nullptr;
}

// Its size, or 0 if it is none of ours. malloc gives no address at the begin of a page for so large a block, so the
// registry is hardly ever asked in vain.
size_t find_block(void* memory, bool take) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  if (address == 0 || address % page_size() != 0) return 0;
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  const auto found = all.blocks.find(address);
  if (found == all.blocks.end()) return 0;
  const size_t size = found->second.size;
  if (take) all.blocks.erase(found);
  return size;
}

void* engine_malloc(size_t size) {
  if (size == offer.size && offer.pages && !offer.taken &&
      own_block(offer.pages, whole_pages(offer.pages_bytes), collecting.owner)) {
    offer.taken = true;
    return offer.pages;
  }
  if (size >= watching.least && !watching.block) {
    watching.size = size;
    return watching.block = map_block(size, collecting.owner);
  }
  if (size >= collecting.least && size <= SIZE_MAX - page_size())
    if (void* const memory = map_block(size, collecting.owner)) return memory;
  return std::malloc(size);
}

void engine_free(void* memory) {
  if (const size_t size = find_block(memory, true))
    ::munmap(memory, size);
  else
    std::free(memory);
}

void* engine_realloc(void* memory, size_t size) {
  const size_t had = find_block(memory, false);
  if (had == 0) return std::realloc(memory, size);
  void* const moved = engine_malloc(size);
  if (!moved) return nullptr;
  std::memcpy(moved, memory, std::min(had, size));
  engine_free(memory);
  return moved;
}

const GotHook kAllocations[] = {
    {"malloc", reinterpret_cast<void*>(&engine_malloc)},
    {"free", reinterpret_cast<void*>(&engine_free)},
    {"realloc", reinterpret_cast<void*>(&engine_realloc)},
};

bool is_zero(const uint8_t* page) noexcept {
  const size_t size = page_size();
  return page[0] == 0 && std::memcmp(page, page + 1, size - 1) == 0;
}

struct File {
  int descriptor = -1;
  uint64_t inode = 0;
  off_t size = 0;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

Status open_file(const char* folder, File& file) noexcept {
  char path[4096];
  const int length = std::snprintf(path, sizeof path, "%s/mnnlite-weights-XXXXXX", folder);
  if (length < 0 || static_cast<size_t>(length) >= sizeof path)
    return Status::error(Code::argument, "the folder for weights has too long a name (%d bytes)", length);
  file.descriptor = ::mkostemp(path, O_CLOEXEC);
  if (file.descriptor < 0)
    return Status::error(Code::argument, "cannot make a file for weights in %.150s: %s; choose another weights_dir",
                         folder, std::strerror(errno));
  ::unlink(path);  // from here on nobody else can reach it, and nothing is left of it after a crash
  struct stat facts{};
  if (::fstat(file.descriptor, &facts) == 0) file.inode = static_cast<uint64_t>(facts.st_ino);
  return {};
}

Status append(File& file, const uint8_t* data, size_t size, const char* folder) noexcept {
  while (size > 0) {
    const ssize_t written = ::pwrite(file.descriptor, data, size, file.size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      return Status::error(
          Code::out_of_memory,
          "no room for the weights in %.120s: %s; free some, choose another weights_dir, or use weights=\"heap\"",
          folder, std::strerror(written < 0 ? errno : ENOSPC));
    data += written;
    size -= static_cast<size_t>(written);
    file.size += written;
  }
  return {};
}

struct Run {  // of pages that go to the file
  uint8_t* begin;
  size_t size;
  off_t offset;
};

// Leaves out long stretches of zeros.
void find_runs(uint8_t* block, size_t size, std::vector<Run>& runs) {
  const size_t page = page_size();
  size_t begin = 0, end = 0, zeros = 0;  // of the run at hand; pages of zeros since its end
  for (size_t at = 0; at < size; at += page) {
    if (is_zero(block + at)) {
      ++zeros;
      continue;
    }
    if (zeros >= kGapPages || end == 0) {
      if (end > begin) runs.push_back({block + begin, end - begin, 0});
      begin = at;
    }
    end = at + page;
    zeros = 0;
  }
  if (end > begin) runs.push_back({block + begin, end - begin, 0});
}

}  // namespace

bool lead_allocations() noexcept {
  static const bool done = install_got_hooks(engine_path(), kAllocations, std::size(kAllocations)) >= 2;
  return done;
}

Status check_weights_folder(const char* folder) noexcept {
  constexpr long kTmpfs = 0x01021994, kRamfs = 0x858458f6;  // linux/magic.h
  struct statfs facts{};
  if (::statfs(folder, &facts) != 0)
    return Status::error(Code::argument, "cannot use the folder for weights %.150s: %s", folder, std::strerror(errno));
  const auto kind = static_cast<unsigned long>(facts.f_type) & 0xffffffffUL;
  if (kind == static_cast<unsigned long>(kTmpfs) || kind == static_cast<unsigned long>(kRamfs))
    return Status::error(
        Code::argument,
        "the folder for weights %.150s lies in memory, so nothing would be saved; choose a weights_dir on a disk",
        folder);
  File file;
  return open_file(folder, file);
}

Status check_mapped_weights(const char* folder) noexcept {
  MNNLITE_TRY(check_weights_folder(folder));
  if (lead_allocations()) return {};
  return Status::error(
      Code::engine,
      "this engine's allocations cannot be led elsewhere, so its weights cannot be put into a file; use "
      "weights=\"heap\"");
}

WeightBlocks::WeightBlocks() noexcept {
  static std::atomic<uint64_t> made{0};
  owner_ = ++made;
}

WeightBlocks::Collect::Collect(const WeightBlocks& blocks, Weights kind) noexcept
    : owner_(collecting.owner), least_(collecting.least) {
  if (!lead_allocations()) return;
  collecting = {blocks.owner(), kind == Weights::mapped ? kLeastFiledPages * page_size() : kLeastBytes};
}

WeightBlocks::Collect::~Collect() { collecting = {owner_, least_}; }

WeightBlocks::Watch::Watch(size_t bytes) noexcept {
  watching = {};
  if (lead_allocations() && kLeastBytes != SIZE_MAX) watching.least = bytes;
}

WeightBlocks::Watch::~Watch() { watching = {}; }

const void* WeightBlocks::Watch::block() const noexcept { return watching.block; }

size_t WeightBlocks::Watch::size() const noexcept { return watching.size; }

WeightBlocks::HandOver::HandOver(void* pages, size_t pages_bytes, size_t size) noexcept {
  offer = {pages, pages_bytes, size, false};
}

WeightBlocks::HandOver::~HandOver() { offer = {}; }

bool WeightBlocks::HandOver::done() const noexcept { return offer.taken; }

Status WeightBlocks::move_to_file(const char* folder) noexcept try {
  // The caller lets nothing else use these blocks meanwhile; the lock is for blocks of others that come and go.
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  File file;
  std::vector<Run> runs;
  std::vector<std::pair<MappedBlock*, size_t>> counts;  // and how many runs each has
  for (auto& [address, block] : all.blocks) {
    if (block.owner != owner_ || block.inode != 0) continue;
    const size_t before = runs.size();
    find_runs(reinterpret_cast<uint8_t*>(address), block.size, runs);
    counts.emplace_back(&block, runs.size() - before);
  }
  if (runs.empty()) return {};
  MNNLITE_TRY(open_file(folder, file));
  for (Run& run : runs) {
    run.offset = file.size;
    MNNLITE_TRY(append(file, run.begin, run.size, folder));
  }
  // Written to the disk now, so that the pages can be dropped without waiting when memory gets short.
  ::sync_file_range(file.descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
  size_t next = 0;
  for (auto& [block, count] : counts) {
    for (size_t i = 0; i < count; ++i, ++next) {
      const Run& run = runs[next];
      if (::mmap(run.begin, run.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file.descriptor,
                 run.offset) == MAP_FAILED)
        return Status::error(Code::out_of_memory, "cannot map the file of weights: %s", std::strerror(errno));
      block->filed += run.size;
    }
    block->inode = file.inode;
  }
  return {};
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to move weights to a file");
}

size_t WeightBlocks::file_bytes() const noexcept {
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  size_t bytes = 0;
  for (const auto& [address, block] : all.blocks)
    if (block.owner == owner_) bytes += block.filed;
  return bytes;
}

std::vector<uint64_t> WeightBlocks::files() const {
  Registry& all = registry();
  const std::lock_guard<std::mutex> guard(all.mutex);
  std::vector<uint64_t> inodes;
  for (const auto& [address, block] : all.blocks)
    if (block.owner == owner_ && block.filed > 0 &&
        std::find(inodes.begin(), inodes.end(), block.inode) == inodes.end())
      inodes.push_back(block.inode);
  return inodes;
}

}  // namespace mnnlite
