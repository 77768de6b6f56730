#include "engine/driver.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mnnlite {
namespace {

// Where the engine looks on Linux, in its order.
constexpr const char* kOpenCl[] = {"/usr/lib/libOpenCL.so",     "/usr/local/lib/libOpenCL.so",
                                   "/usr/local/lib/libpocl.so", "/usr/lib64/libOpenCL.so",
                                   "/usr/lib32/libOpenCL.so",   "libOpenCL.so"};

// Of the OpenCL 1.2 specification, chapters 4.1 and 4.2.
using GetPlatforms = int32_t (*)(uint32_t, void**, uint32_t*);
using GetDevices = int32_t (*)(void*, uint64_t, uint32_t, void**, uint32_t*);
using GetDeviceInfo = int32_t (*)(void*, uint32_t, size_t, void*, size_t*);
constexpr uint64_t kGpu = 1 << 2;
constexpr uint32_t kName = 0x102B, kDriver = 0x102D, kVersion = 0x102F;

std::string text_of(GetDeviceInfo ask, void* device, uint32_t what) {
  char text[256] = {};
  return ask(device, what, sizeof text - 1, text, nullptr) == 0 ? text : "";
}

// The loader's words for what could not be opened, and what of it is there under another name.
std::string missing(const char* name) {
  const char* const said = ::dlerror();
  std::string reason = said ? said : std::string(name) + " cannot be opened";
  const std::string versioned = std::string(name) + ".1";
  if (void* const there = ::dlopen(versioned.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
    ::dlclose(there);
    reason += "; " + versioned + " is there, but the engine opens " + name + ": install " +
              (versioned == "libOpenCL.so.1" ? "ocl-icd-opencl-dev" : "libvulkan-dev") +
              ", or make a link of that name";
  }
  return reason;
}

}  // namespace

bool is_built_with(BackendKind kind, const char* engine_path) {
  const char* const wanted = kind == BackendKind::opencl   ? "clGetPlatformIDs"
                             : kind == BackendKind::vulkan ? "vkGetInstanceProcAddr"
                                                           : nullptr;
  const int file = wanted ? ::open(engine_path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return false;
  struct stat facts{};
  void* content = MAP_FAILED;
  if (::fstat(file, &facts) == 0 && facts.st_size > 0)
    content = ::mmap(nullptr, static_cast<size_t>(facts.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  if (content == MAP_FAILED) return false;
  // With its end, so that it is the whole name.
  const bool found = ::memmem(content, static_cast<size_t>(facts.st_size), wanted, std::strlen(wanted) + 1) != nullptr;
  ::munmap(content, static_cast<size_t>(facts.st_size));
  return found;
}

std::vector<GpuDevice> gpu_devices(BackendKind kind, std::string& reason) {
  std::vector<GpuDevice> found;
  reason.clear();
  if (kind == BackendKind::vulkan) {
    // The handle is kept, as the engine keeps its own.
    if (!::dlopen("libvulkan.so", RTLD_LAZY | RTLD_LOCAL)) reason = missing("libvulkan.so");
    return found;
  }
  if (kind != BackendKind::opencl) return found;
  void* library = nullptr;
  for (const char* path : kOpenCl)
    if (!library) library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    reason = missing("libOpenCL.so");
    return found;
  }
  const auto platforms_of = reinterpret_cast<GetPlatforms>(::dlsym(library, "clGetPlatformIDs"));
  const auto devices_of = reinterpret_cast<GetDevices>(::dlsym(library, "clGetDeviceIDs"));
  const auto ask = reinterpret_cast<GetDeviceInfo>(::dlsym(library, "clGetDeviceInfo"));
  if (!platforms_of || !devices_of || !ask) {
    reason = "libOpenCL.so has not the functions of OpenCL";
    return found;
  }
  // The engine takes the first platform.
  void* platform = nullptr;
  uint32_t count = 0;
  if (platforms_of(1, &platform, &count) != 0 || count == 0) {
    reason =
        "libOpenCL.so knows no driver (no platform); install the one of the GPU, a file in /etc/OpenCL/vendors names "
        "it";
    return found;
  }
  void* devices[16] = {};
  count = 0;
  if (devices_of(platform, kGpu, 16, devices, &count) != 0) count = 0;
  for (uint32_t i = 0; i < count && i < 16; ++i)
    found.push_back(
        {text_of(ask, devices[i], kName), text_of(ask, devices[i], kVersion), text_of(ask, devices[i], kDriver)});
  if (found.empty()) reason = "the driver of OpenCL has no GPU";
  return found;
}

}  // namespace mnnlite
