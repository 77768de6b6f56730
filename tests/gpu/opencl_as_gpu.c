/* A libOpenCL.so whose devices are GPUs, so that a driver for CPUs (pocl) can stand for one: the engine asks for GPUs alone. Built by
   `make gpu` and linked with the loader, in which everything else is found. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_TYPE 0x1000
#define ANY UINT64_C(0xFFFFFFFF)

static void* real(const char* name) {
  static void* loader;
  if (!loader) loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  return dlsym(loader, name);
}

int32_t clGetDeviceIDs(void* platform, uint64_t type, uint32_t room, void** devices, uint32_t* count) {
  int32_t (*ask)(void*, uint64_t, uint32_t, void**, uint32_t*);
  *(void**)&ask = real("clGetDeviceIDs");
  return ask(platform, type ? ANY : type, room, devices, count);
}

int32_t clGetDeviceInfo(void* device, uint32_t what, size_t size, void* value, size_t* needed) {
  int32_t (*ask)(void*, uint32_t, size_t, void*, size_t*);
  *(void**)&ask = real("clGetDeviceInfo");
  const int32_t code = ask(device, what, size, value, needed);
  if (code == 0 && what == DEVICE_TYPE && value) *(uint64_t*)value = 4;
  return code;
}
