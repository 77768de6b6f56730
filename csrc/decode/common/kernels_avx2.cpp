#include "decode/common/kernels.inl"

#if MNNLITE_DECODE_AVX2
namespace mnnlite {
namespace {

MNNLITE_DECODE_KERNELS(MNNLITE_TARGET_AVX2, Wide)

}  // namespace

const DecodeKernels kDecodeAvx2 = kTable;

}  // namespace mnnlite
#endif
