// Works on the dynamic section of one loaded ELF object: each relocation that binds a symbol named printf, puts or
// putchar is a slot in its global offset table, and gets the address of ours. The process's other libraries keep theirs.
#include "engine/prints.hpp"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace mnnlite {
namespace {

thread_local PrintCapture* current = nullptr;

int engine_vprintf(const char* format, va_list arguments) {
  if (!current) return std::vprintf(format, arguments);
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  if (length > 0) current->append(line, std::min(static_cast<size_t>(length), sizeof line - 1));
  return length;
}

__attribute__((format(printf, 1, 2))) int engine_printf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = engine_vprintf(format, arguments);
  va_end(arguments);
  return length;
}

// glibc's checked variant, called by code built with _FORTIFY_SOURCE.
__attribute__((format(printf, 2, 3))) int engine_printf_chk(int, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = engine_vprintf(format, arguments);
  va_end(arguments);
  return length;
}

int engine_puts(const char* text) {
  if (!current) return std::puts(text);
  current->append(text, std::strlen(text));
  current->append("\n", 1);
  return 1;
}

int engine_putchar(int character) {
  if (!current) return std::putchar(character);
  const char byte = static_cast<char>(character);
  current->append(&byte, 1);
  return character;
}

struct Replacement {
  const char* name;
  void* function;
};

const Replacement kReplacements[] = {
    {"printf", reinterpret_cast<void*>(&engine_printf)},
    {"__printf_chk", reinterpret_cast<void*>(&engine_printf_chk)},
    {"vprintf", reinterpret_cast<void*>(&engine_vprintf)},
    {"puts", reinterpret_cast<void*>(&engine_puts)},
    {"putchar", reinterpret_cast<void*>(&engine_putchar)},
};

bool overwrite(void** slot, void* value) {
  if (*slot == value) return true;
  // The table may be read-only after relocation (RELRO).
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  void* start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(slot) / page * page);
  if (::mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return false;
  *slot = value;  // stays writable: neighbouring slots may still be bound lazily
  return true;
}

struct Search {
  const char* path;
  int redirected;
};

int visit(dl_phdr_info* info, size_t, void* data) {
  Search& search = *static_cast<Search*>(data);
  if (!info->dlpi_name || std::strcmp(info->dlpi_name, search.path) != 0) return 0;
  const ElfW(Dyn)* dynamic = nullptr;
  for (int i = 0; i < info->dlpi_phnum; ++i)
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
      dynamic = reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
  if (!dynamic) return 1;

  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  const ElfW(Rela)* tables[2] = {nullptr, nullptr};
  size_t sizes[2] = {0, 0};
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    const auto pointer = dynamic->d_un.d_ptr;  // glibc has already added the load address; musl has not
    const auto address = pointer < info->dlpi_addr ? pointer + info->dlpi_addr : pointer;
    switch (dynamic->d_tag) {
      case DT_SYMTAB: symbols = reinterpret_cast<const ElfW(Sym)*>(address); break;
      case DT_STRTAB: names = reinterpret_cast<const char*>(address); break;
      case DT_JMPREL: tables[0] = reinterpret_cast<const ElfW(Rela)*>(address); break;
      case DT_PLTRELSZ: sizes[0] = dynamic->d_un.d_val; break;
      case DT_RELA: tables[1] = reinterpret_cast<const ElfW(Rela)*>(address); break;
      case DT_RELASZ: sizes[1] = dynamic->d_un.d_val; break;
      default: break;
    }
  }
  if (!symbols || !names) return 1;
  for (int table = 0; table < 2; ++table) {
    if (!tables[table]) continue;
    for (size_t i = 0; i < sizes[table] / sizeof(ElfW(Rela)); ++i) {
      const ElfW(Rela)& relocation = tables[table][i];
      const size_t symbol = relocation.r_info >> (sizeof(relocation.r_info) == 8 ? 32 : 8);
      if (symbol == 0) continue;
      const char* name = names + symbols[symbol].st_name;
      for (const Replacement& replacement : kReplacements)
        if (std::strcmp(name, replacement.name) == 0 &&
            overwrite(reinterpret_cast<void**>(info->dlpi_addr + relocation.r_offset), replacement.function))
          ++search.redirected;
    }
  }
  return 1;
}

}  // namespace

int redirect_prints(const char* path) noexcept {
  Search search{path, 0};
  ::dl_iterate_phdr(&visit, &search);
  return search.redirected;
}

PrintCapture::PrintCapture() noexcept : outer_(current) {
  text_[0] = 0;
  current = this;
}

PrintCapture::~PrintCapture() {
  current = outer_;
  if (outer_ && length_ > 0) outer_->append(text_, length_);
}

void PrintCapture::append(const char* text, size_t length) noexcept {
  const size_t fits = std::min(length, sizeof text_ - 1 - length_);
  std::memcpy(text_ + length_, text, fits);
  length_ += fits;
  text_[length_] = 0;
}

}  // namespace mnnlite
