// The colour matrices as whole numbers.
#include <cmath>

#include "image/plan_data.hpp"

namespace mnnlite::image {

// From the luma coefficients of ITU-R BT.601-7 and BT.709-6; limited range: 219 steps of luma from 16, 224 of chroma.
YuvMatrix yuv_matrix(Matrix matrix, Range range) noexcept {
  const double kr = matrix == Matrix::bt601 ? 0.299 : 0.2126, kb = matrix == Matrix::bt601 ? 0.114 : 0.0722;
  const double kg = 1 - kr - kb;
  const bool limited = range == Range::limited;
  const double luma = limited ? 255.0 / 219 : 1.0, chroma = limited ? 255.0 / 224 : 1.0;
  const auto whole = [](double value) { return static_cast<int32_t>(std::floor(value * (1 << kYuvBits) + 0.5)); };
  return {whole(luma),
          whole(2 * (1 - kr) * chroma),
          whole(-2 * (1 - kb) * kb / kg * chroma),
          whole(-2 * (1 - kr) * kr / kg * chroma),
          whole(2 * (1 - kb) * chroma),
          limited ? 16 : 0};
}

}  // namespace mnnlite::image
