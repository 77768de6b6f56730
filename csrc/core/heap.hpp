// The only home of what mnnlite asks of the process's heap, which belongs to the whole process. A process can refuse it:
// keep_heap(), or MNNLITE_HEAP=keep in its environment.
#pragma once

#include "core/status.hpp"

namespace mnnlite {

// Threads that are started from here on share the heaps there are (glibc's M_ARENA_MAX). glibc would give each a heap of its
// own, and what one network leaves free in its lane's would be of no use to another lane's. Heaps that there are already
// stay in use, see trim_heap. A lane allocates when it loads and not when it runs, so there is nothing to contend for. Does
// nothing where the process refused, or where MALLOC_ARENA_MAX says how many heaps it wants. Wrong is only a MNNLITE_HEAP that is
// neither "keep" nor "share".
Status share_heap() noexcept;

// Pages that malloc holds free go back to the system, where the C library can do that and the process did not refuse:
// those between blocks of all heaps, and the free end of the main heap and of the calling thread's. So who freed much calls
// it from the thread that allocated.
void trim_heap() noexcept;

// From here on neither of the above does anything.
void keep_heap() noexcept;

}  // namespace mnnlite
