// Return codes. Declarations for mnnlite, see ../../README.md.
#ifndef MNNLITE_MNN_ERROR_CODE_HPP
#define MNNLITE_MNN_ERROR_CODE_HPP

namespace MNN {

enum ErrorCode {
  NO_ERROR = 0,
  OUT_OF_MEMORY = 1,
  NOT_SUPPORT = 2,
  COMPUTE_SIZE_ERROR = 3,
  NO_EXECUTION = 4,
  INVALID_VALUE = 5,
  INPUT_DATA_ERROR = 10,
  CALL_BACK_STOP = 11,
  ERROR_CODE_HIGHEST_ = 0x7fffffff
};

}  // namespace MNN
#endif
