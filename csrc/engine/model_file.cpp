#include "engine/model_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/pages.hpp"

namespace mnnlite {
namespace {

static_assert(sizeof(off_t) == 8, "offsets in files have 64 bits, on 32-bit machines too: _FILE_OFFSET_BITS");

// A regular file, open for reading. Opened without waiting: a pipe of that name would wait for its writer for ever.
Status open_regular(const char* path, const char* what, int& descriptor, int64_t& size) {
  descriptor = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const int error = errno;
    return Status::error(error == ENOENT || error == ENOTDIR ? Code::model_not_found : Code::model,
                         "cannot open the %s %s: %s", what, path, std::strerror(error));
  }
  struct stat facts{};
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode))
    return Status::error(Code::model, "%s is not a regular file", path);
  size = facts.st_size;
  return {};
}

// Reads up to `size` bytes; fewer only at the end of the file.
Status read_all(int descriptor, char* to, size_t size, int64_t offset, size_t& got) {
  got = 0;
  while (got < size) {
    const ssize_t part = ::pread(descriptor, to + got, size - got, offset + static_cast<int64_t>(got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return Status::error(Code::model, "cannot read: %s", std::strerror(errno));
    if (part == 0) break;
    got += static_cast<size_t>(part);
  }
  return {};
}

// Memory for a file's content. The kernel fills it with huge pages where it can: clearing and mapping page by page took most
// of the time of reading a file that it has in memory. Its begin is theirs, its end is not: what is not content stays small.
void* map_pages(size_t size) noexcept {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t spare = size >= kHugePage ? kHugePage : 0;
  void* const memory = ::mmap(nullptr, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (!spare) return memory;
  auto* const begin = static_cast<char*>(memory);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) ::munmap(begin, before);
  const size_t whole = whole_pages(size);
  if (before + whole < size + spare) ::munmap(begin + before + whole, size + spare - before - whole);
  ::madvise(begin + before, size, MADV_HUGEPAGE);  // a wish, which some kernels do not know
  return begin + before;
}

}  // namespace

Status ModelFile::read(const char* path, ModelFile& result) noexcept {
  int descriptor = -1;
  int64_t size = 0;
  Status status = open_regular(path, "model file", descriptor, size);
  const auto leave = [&](const Status& with) {
    if (descriptor >= 0) ::close(descriptor);
    return with;
  };
  if (!status.ok()) return leave(status);
  if (size == 0) return leave(Status::error(Code::model_format, "the model file %s is empty", path));
  if (size > INT_MAX)
    return leave(Status::error(Code::model_format, "the model file %s has %lld bytes; the engine takes at most %d",
                               path, static_cast<long long>(size), INT_MAX));
  ModelFile file;
  file.size_ = static_cast<size_t>(size);
  file.pages_bytes_ = kRoom + file.size_ + kRoom;
  void* const pages = map_pages(file.pages_bytes_);
  if (!pages)
    return leave(Status::error(Code::out_of_memory, "no memory for the model file %s (%zu bytes)", path, file.size_));
  file.pages_ = pages;
  size_t got = 0;
  status = read_all(descriptor, static_cast<char*>(pages) + kRoom, file.size_, 0, got);
  if (!status.ok()) return leave(Status::error(Code::model, "the model file %s: %.100s", path, status.text));
  if (got != file.size_)
    return leave(Status::error(Code::model_format, "the model file %s changed while it was read: %zu bytes of %zu",
                               path, got, file.size_));
  result = std::move(file);
  return leave({});
}

ModelFile::ModelFile(ModelFile&& other) noexcept { *this = std::move(other); }

ModelFile& ModelFile::operator=(ModelFile&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(pages_bytes_, other.pages_bytes_);
  std::swap(size_, other.size_);
  return *this;
}

ModelFile::~ModelFile() {
  if (pages_) ::munmap(pages_, pages_bytes_);
}

WeightsFile::WeightsFile(WeightsFile&& other) noexcept { *this = std::move(other); }

WeightsFile& WeightsFile::operator=(WeightsFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

WeightsFile::~WeightsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status WeightsFile::open(const char* path, WeightsFile& result) noexcept {
  WeightsFile file;
  MNNLITE_TRY(open_regular(path, "file of external weights", file.descriptor_, file.size_));
  std::snprintf(file.path_, sizeof file.path_, "/proc/self/fd/%d", file.descriptor_);
  result = std::move(file);
  return {};
}

Status WeightsFile::check_written(int64_t bytes) const noexcept {
  constexpr size_t kPart = 4096;
  char part[kPart];
  for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(kPart)) {
    size_t got = 0;
    MNNLITE_TRY(read_all(descriptor_, part, static_cast<size_t>(std::min<int64_t>(kPart, bytes - at)), at, got));
    for (size_t i = 0; i < got; ++i)
      if (part[i] != 0) return {};
  }
  return Status::error(
      Code::model_format,
      "the file with the model's weights holds nothing but zeros: it was never written; copy it again");
}

}  // namespace mnnlite
