// Where a process dies: a signal's frames inside the engine, innermost first, one line on a descriptor, then the signal's
// own end. Built and loaded by mutants.py; the wheel of MNN has its public functions' names and no others.
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>

namespace {

int out = 2;

void site(int number) {
  void* frames[24];
  const int count = backtrace(frames, 24);
  char line[512];
  int length = 0, shown = 0;
  for (int i = 2; i < count && shown < 3; ++i) {
    Dl_info info{};
    if (!dladdr(frames[i], &info) || !info.dli_fname || !strstr(info.dli_fname, "mnnc")) continue;
    const unsigned long offset =
        static_cast<unsigned long>(static_cast<char*>(frames[i]) - static_cast<char*>(info.dli_fbase));
    length += snprintf(line + length, sizeof line - static_cast<size_t>(length), "%s%.100s[%lx]", shown ? " < " : "",
                       info.dli_sname ? info.dli_sname : "", offset);
    ++shown;
  }
  if (!shown) length = snprintf(line, sizeof line, "outside of the engine");
  (void)!write(out, line, static_cast<size_t>(length));
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

extern "C" void watch_crashes(int descriptor) {
  out = descriptor;
  void* warm[4];
  backtrace(warm, 4);  // loads what it needs now
  static char stack[1 << 16];
  stack_t alternative{};
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof stack;
  sigaltstack(&alternative, nullptr);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction action{};
    action.sa_handler = site;
    action.sa_flags = SA_ONSTACK;
    sigaction(number, &action, nullptr);
  }
}
