// Works on the dynamic section of one loaded ELF object: each relocation that binds a symbol of such a name is a slot in
// its global offset table, and gets the address of ours. The process's other libraries keep theirs.
#include "engine/got_hook.hpp"

#include <link.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "engine/pages.hpp"

namespace mnnlite {
namespace {

bool overwrite(void** slot, void* value) {
  if (*slot == value) return true;
  // The table may be read-only after relocation (RELRO).
  const uintptr_t page = page_size();
  void* start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(slot) / page * page);
  if (::mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return false;
  *slot = value;  // stays writable: neighbouring slots may still be bound lazily
  return true;
}

struct Search {
  const char* path;
  const GotHook* hooks;
  size_t count;
  int replaced;
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
  const ElfW(Rela) * tables[2] = {nullptr, nullptr};
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
      const ElfW(Rela) & relocation = tables[table][i];
      const size_t symbol = relocation.r_info >> (sizeof(relocation.r_info) == 8 ? 32 : 8);
      if (symbol == 0) continue;
      const char* name = names + symbols[symbol].st_name;
      for (size_t each = 0; each < search.count; ++each)
        if (std::strcmp(name, search.hooks[each].name) == 0 &&
            overwrite(reinterpret_cast<void**>(info->dlpi_addr + relocation.r_offset), search.hooks[each].function))
          ++search.replaced;
    }
  }
  return 1;
}

}  // namespace

int install_got_hooks(const char* path, const GotHook* hooks, size_t count) noexcept {
  Search search{path, hooks, count, 0};
  ::dl_iterate_phdr(&visit, &search);
  return search.replaced;
}

}  // namespace mnnlite
