// Plain loops compiled a second time for AVX2: the same source and, without contraction, the same bits.
// Bodies are MNNLITE_INLINE, so that they take on the target of the function around them.
#pragma once

#include "core/isa.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define MNNLITE_DECODE_AVX2 1
#define MNNLITE_TARGET_AVX2 __attribute__((target("avx2")))
#else
#define MNNLITE_DECODE_AVX2 0
#endif
#define MNNLITE_INLINE inline __attribute__((always_inline))
