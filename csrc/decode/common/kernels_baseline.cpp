// What every CPU runs: SSE2 or NEON, as the compiler's vectors of four.
#include "decode/common/kernels.inl"

namespace mnnlite {
namespace {

MNNLITE_DECODE_KERNELS(, Narrow)

}  // namespace

const DecodeKernels kDecodeBaseline = kTable;

}  // namespace mnnlite
