// A 3x3 projective map from network pixels to source pixels, continuous coordinates, pixel i covering [i, i+1).
// Region of interest, letterbox and quadrilateral are all one of these; they compose and invert.
#pragma once

#include <cmath>

namespace mnnlite {

struct Mapping {
  double m[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};  // row-major

  // [x' y' w']^T = m [x y 1]^T, then x'/w', y'/w'.
  void apply(double x, double y, double& out_x, double& out_y) const noexcept {
    const double w = m[6] * x + m[7] * y + m[8];
    out_x = (m[0] * x + m[1] * y + m[2]) / w;
    out_y = (m[3] * x + m[4] * y + m[5]) / w;
  }

  // Scale and shift only: rows and columns stay rows and columns.
  bool axis_aligned() const noexcept { return m[1] == 0 && m[3] == 0 && m[6] == 0 && m[7] == 0; }
  bool affine() const noexcept { return m[6] == 0 && m[7] == 0; }

  static Mapping scale_shift(double sx, double sy, double tx, double ty) noexcept {
    return Mapping{{sx, 0, tx, 0, sy, ty, 0, 0, 1}};
  }

  // First `inner`, then `outer`.
  static Mapping compose(const Mapping& outer, const Mapping& inner) noexcept {
    Mapping result;
    for (int row = 0; row < 3; ++row)
      for (int column = 0; column < 3; ++column) {
        double sum = 0;
        for (int k = 0; k < 3; ++k) sum += outer.m[row * 3 + k] * inner.m[k * 3 + column];
        result.m[row * 3 + column] = sum;
      }
    return result;
  }

  // False if the map cannot be inverted (zero-sized region, collapsed quadrilateral).
  bool inverse(Mapping& result) const noexcept {
    const double c0 = m[4] * m[8] - m[5] * m[7], c1 = m[5] * m[6] - m[3] * m[8], c2 = m[3] * m[7] - m[4] * m[6];
    const double determinant = m[0] * c0 + m[1] * c1 + m[2] * c2;
    if (!(std::fabs(determinant) > 1e-300) || !std::isfinite(determinant)) return false;
    const double r = 1 / determinant;
    // clang-format off: rows
    result = Mapping{{c0 * r, (m[2] * m[7] - m[1] * m[8]) * r, (m[1] * m[5] - m[2] * m[4]) * r,
                      c1 * r, (m[0] * m[8] - m[2] * m[6]) * r, (m[2] * m[3] - m[0] * m[5]) * r,
                      c2 * r, (m[1] * m[6] - m[0] * m[7]) * r, (m[0] * m[4] - m[1] * m[3]) * r}};
    // clang-format on
    return true;
  }
};

}  // namespace mnnlite
