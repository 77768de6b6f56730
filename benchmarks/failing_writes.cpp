// Preloaded: the n-th call that changes a file below FAIL_BELOW fails with FAIL_ERRNO; FAIL_AT=0 only counts. At the end of the
// process the count is appended to FAIL_COUNT.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

std::atomic<int> calls{0};

bool is_below(const char* path) {
  const char* folder = getenv("FAIL_BELOW");
  return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

bool fails() {
  const char* at = getenv("FAIL_AT");
  if (++calls != (at ? atoi(at) : 0)) return false;
  errno = atoi(getenv("FAIL_ERRNO"));
  return true;
}

bool fails_on(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return false;
  path[size] = 0;
  return is_below(path) && fails();
}

template <typename F>
F real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

__attribute__((destructor)) void report() {
  const char* path = getenv("FAIL_COUNT");
  if (!path) return;
  if (FILE* file = fopen(path, "a")) {
    fprintf(file, "%d\n", calls.load());
    fclose(file);
  }
}

}  // namespace

extern "C" {
ssize_t write(int descriptor, const void* data, size_t size) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t)>("write");
  return fails_on(descriptor) ? -1 : next(descriptor, data, size);
}
ssize_t writev(int descriptor, const iovec* parts, int count) {
  static const auto next = real<ssize_t (*)(int, const iovec*, int)>("writev");
  return fails_on(descriptor) ? -1 : next(descriptor, parts, count);
}
ssize_t pwrite(int descriptor, const void* data, size_t size, off_t at) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return fails_on(descriptor) ? -1 : next(descriptor, data, size, at);
}
ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t at) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return fails_on(descriptor) ? -1 : next(descriptor, data, size, at);
}
int fsync(int descriptor) {
  static const auto next = real<int (*)(int)>("fsync");
  return fails_on(descriptor) ? -1 : next(descriptor);
}
int rename(const char* from, const char* to) {
  static const auto next = real<int (*)(const char*, const char*)>("rename");
  return is_below(to) && fails() ? -1 : next(from, to);
}
}
