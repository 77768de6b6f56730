// Loops without gathers or shuffles, written once and compiled once per instruction set: the compiler vectorises them
// under the target region of the file that includes this. No include guard and no includes: they are in the includer,
// before its target region, so that no inline function of the standard library is compiled for more than the baseline.

void add_area_u8(const uint8_t* samples, int32_t count, int32_t weight, uint32_t* sums) noexcept {
  for (int32_t i = 0; i < count; ++i) sums[i] += static_cast<uint32_t>(samples[i] * weight);
}

void add_area_u16(const uint8_t* bytes, int32_t count, int32_t weight, uint32_t* sums) noexcept {
  const uint16_t* samples = reinterpret_cast<const uint16_t*>(bytes);  // check_view has seen to the alignment
  for (int32_t i = 0; i < count; ++i) sums[i] += samples[i] * static_cast<uint32_t>(weight);
}

void narrow_area_u8(const uint32_t* sums, int32_t count, uint16_t* values) noexcept {
  for (int32_t i = 0; i < count; ++i) values[i] = static_cast<uint16_t>(sums[i] >> 7);
}

void narrow_area_u16(const uint32_t* sums, int32_t count, uint16_t* values) noexcept {
  for (int32_t i = 0; i < count; ++i) values[i] = static_cast<uint16_t>(sums[i] >> 14);
}

void reduce_area_component(const uint16_t* values, int32_t step, const AreaTaps& taps, int32_t* v) noexcept {
  for (int32_t x = 0; x < taps.count; ++x) {
    const uint16_t* value = values + static_cast<ptrdiff_t>(taps.first[x]) * step;
    int32_t sum = 0;
    for (int32_t i = taps.begin[x]; i < taps.begin[x + 1]; ++i, value += step) sum += *value * taps.weights[i];
    v[x] = sum;
  }
}

void reduce_area(const uint16_t* values, int32_t step, int32_t count, const int32_t at[4], const AreaTaps& taps,
                 int32_t* const v[4]) noexcept {
  for (int32_t c = 0; c < count; ++c) reduce_area_component(values + at[c], step, taps, v[c]);
}

void yuv_to_rgb(int32_t* y, int32_t* u, int32_t* v, int32_t count, int32_t bits, const YuvMatrix& m) noexcept {
  const int32_t shift = bits - 7, black = m.black << 7, middle = 128 << 7;
  for (int32_t x = 0; x < count; ++x) {
    const int32_t luma = ((y[x] >> shift) - black) * m.luma;
    const int32_t cb = (u[x] >> shift) - middle, cr = (v[x] >> shift) - middle;
    y[x] = scalar::clamp_level(luma + cr * m.red_v, 20);
    u[x] = scalar::clamp_level(luma + (cb * m.green_u + cr * m.green_v), 20);
    v[x] = scalar::clamp_level(luma + cb * m.blue_u, 20);
  }
}

void yuv_to_gray(int32_t* y, int32_t count, int32_t bits, const YuvMatrix& m) noexcept {
  const int32_t shift = bits - 7, black = m.black << 7;
  for (int32_t x = 0; x < count; ++x) y[x] = scalar::clamp_level(((y[x] >> shift) - black) * m.luma, 20);
}

void rgb_to_gray(const int32_t* r, const int32_t* g, const int32_t* b, int32_t count, int32_t shift,
                 int32_t* gray) noexcept {
  for (int32_t x = 0; x < count; ++x)
    gray[x] = (r[x] >> shift) * 9798 + (g[x] >> shift) * 19235 + (b[x] >> shift) * 3735;
}

template <typename T>
inline T saturate(float value) noexcept {
  constexpr float low = sizeof(T) == 1 && static_cast<T>(-1) < 0 ? -128.0f : 0.0f, high = low + 255.0f;
  value = value < low ? low : value;
  value = value > high ? high : value;
  return static_cast<T>(static_cast<int32_t>((value + 12582912.0f) - 12582912.0f));
}

template <typename T>
inline T saturate_exact(int32_t v, int32_t bits) noexcept {
  constexpr int32_t low = static_cast<T>(-1) < 0 ? -128 : 0, high = low + 255;
  v = (v + (1 << (bits - 1))) >> bits;
  v = v < low ? low : v;
  return static_cast<T>(v > high ? high : v);
}

// Strided is a constant so that the dense form has a unit step the compiler can see.
template <bool Strided>
void store_f32(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  float* to = static_cast<float*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = static_cast<float>(v[i]) * k + b;
}

template <typename T, bool Strided>
void store_real(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept {
  T* to = static_cast<T*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = saturate<T>(static_cast<float>(v[i]) * k + b);
}

template <typename T, bool Strided>
void store_exact(const int32_t* v, int32_t count, float, float, int32_t bits, void* out, ptrdiff_t step) noexcept {
  T* to = static_cast<T*>(out);
  for (int32_t i = 0; i < count; ++i) to[Strided ? i * step : i] = saturate_exact<T>(v[i], bits);
}

void project(const double m[9], bool affine, double first, double row, int32_t count, double* x, double* y) noexcept {
  const double row_x = m[1] * row + m[2], row_y = m[4] * row + m[5], row_w = m[7] * row + m[8];
  const double outside = -1;
  for (int32_t i = 0; i < count; ++i) {
    const double column = first + i;
    x[i] = m[0] * column + row_x;
    y[i] = m[3] * column + row_y;
  }
  if (affine) return;
  for (int32_t i = 0; i < count; ++i) {
    const double divisor = m[6] * (first + i) + row_w;
    const double x_divided = x[i] / divisor, y_divided = y[i] / divisor;
    x[i] = divisor > 0 ? x_divided : outside;
    y[i] = divisor > 0 ? y_divided : outside;
  }
}

void to_fixed(const double* positions, double units, int32_t count, int32_t* fixed) noexcept {
  constexpr double far = 1073741824;  // in 1/2048 as large as any frame; the sign of a comparison with it is right
  for (int32_t i = 0; i < count; ++i) {
    double scaled = positions[i] * units + 0.5;
    scaled = scaled < far ? scaled : far;
    scaled = scaled > -far ? scaled : -far;
    fixed[i] = static_cast<int32_t>(__builtin_floor(scaled));
  }
}

void line_taps(const Line& given, int32_t* offset, int32_t* weights) noexcept {
  const Line line = given;
  for (int32_t i = 0; i < line.count; ++i) {
    const double position = line.scale * (line.begin + i + 0.5) + line.shift;
    offset[i] = static_cast<int32_t>(__builtin_floor(position * line.units + 0.5));
  }
  const int32_t centre = line.nearest ? 0 : 1024, fraction = line.nearest ? 0 : 2047;
#pragma GCC ivdep  // parts of one scratch
  for (int32_t i = 0; i < line.count; ++i) {
    int32_t at = (offset[i] - centre) >> 11, w = (offset[i] - centre) & fraction;
    w = at >= line.last ? 0 : w;
    w = at < line.first ? 0 : w;
    at = at < line.first ? line.first : at;
    at = at > line.last ? line.last : at;
    offset[i] = at * line.step;
    weights[i] = (2048 - w) | w << 16;
  }
}

void warp_taps(const int32_t* x, const int32_t* y, const WarpPlane& plane, const WarpTaps& taps) noexcept {
  // Copies, because bytes are stored below and bytes may alias anything.
  const WarpPlane p = plane;
  const int32_t count = taps.count;
  int32_t *offset = taps.offset, *weights_x = taps.weights_x, *weights_y = taps.weights_y;
  uint8_t* wide = taps.wide;
  const int32_t centre = p.nearest ? 0 : 1024, fraction = p.nearest ? 0 : 2047;
#pragma GCC ivdep  // the arrays are parts of one scratch: none overlaps another
  for (int32_t i = 0; i < count; ++i) {
    int32_t at_x = (x[i] - centre) >> 11, at_y = (y[i] - centre) >> 11;
    int32_t w_x = (x[i] - centre) & fraction, w_y = (y[i] - centre) & fraction;
    w_x = at_x >= p.last_x ? 0 : w_x;
    w_x = at_x < 0 ? 0 : w_x;
    w_y = at_y >= p.last_y ? 0 : w_y;
    w_y = at_y < 0 ? 0 : w_y;
    at_x = at_x < 0 ? 0 : at_x;
    at_x = at_x > p.last_x ? p.last_x : at_x;
    at_y = at_y < 0 ? 0 : at_y;
    at_y = at_y > p.last_y ? p.last_y : at_y;
    offset[i] = at_y * p.stride + at_x * p.step;
    weights_x[i] = (2048 - w_x) | w_x << 16;
    weights_y[i] = w_y;
    const int32_t in_row = at_x * p.step <= p.last_wide ? 1 : 0, not_last = at_y < p.last_y ? 1 : 0;
    wide[i] = static_cast<uint8_t>(in_row & not_last);
  }
}

// Pixel by pixel, so that the compiler sees dense stores and interleaves registers instead of scattering elements.
template <typename T, int C>
void store_pixels_f32(const int32_t* const v[4], int32_t count, const float k[4], const float b[4], int32_t,
                      void* out) noexcept {
  T* to = static_cast<T*>(out);
  const int32_t *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = C > 3 ? v[3] : v[0];
  const float k0 = k[0], k1 = k[1], k2 = k[2], k3 = k[3], b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3];
#pragma GCC ivdep  // the tensor and the scratch do not overlap
  for (int32_t i = 0; i < count; ++i) {
    to[i * C] = static_cast<float>(v0[i]) * k0 + b0;
    to[i * C + 1] = static_cast<float>(v1[i]) * k1 + b1;
    to[i * C + 2] = static_cast<float>(v2[i]) * k2 + b2;
    if (C > 3) to[i * C + 3] = static_cast<float>(v3[i]) * k3 + b3;
  }
}

template <typename T, int C>
void store_pixels_real(const int32_t* const v[4], int32_t count, const float k[4], const float b[4], int32_t,
                       void* out) noexcept {
  T* to = static_cast<T*>(out);
  const int32_t *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = C > 3 ? v[3] : v[0];
  const float k0 = k[0], k1 = k[1], k2 = k[2], k3 = k[3], b0 = b[0], b1 = b[1], b2 = b[2], b3 = b[3];
#pragma GCC ivdep
  for (int32_t i = 0; i < count; ++i) {
    to[i * C] = saturate<T>(static_cast<float>(v0[i]) * k0 + b0);
    to[i * C + 1] = saturate<T>(static_cast<float>(v1[i]) * k1 + b1);
    to[i * C + 2] = saturate<T>(static_cast<float>(v2[i]) * k2 + b2);
    if (C > 3) to[i * C + 3] = saturate<T>(static_cast<float>(v3[i]) * k3 + b3);
  }
}

template <typename T, int C>
void store_pixels_exact(const int32_t* const v[4], int32_t count, const float*, const float*, int32_t bits,
                        void* out) noexcept {
  T* to = static_cast<T*>(out);
  const int32_t *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = C > 3 ? v[3] : v[0];
#pragma GCC ivdep
  for (int32_t i = 0; i < count; ++i) {
    to[i * C] = saturate_exact<T>(v0[i], bits);
    to[i * C + 1] = saturate_exact<T>(v1[i], bits);
    to[i * C + 2] = saturate_exact<T>(v2[i], bits);
    if (C > 3) to[i * C + 3] = saturate_exact<T>(v3[i], bits);
  }
}

// Of halves there is an instruction or there is not: the includer's.
template <bool Strided>
void store_f16(const int32_t* v, int32_t count, float k, float b, int32_t, void* out, ptrdiff_t step) noexcept;

constexpr StreamKernels kStream = {
    project,
    to_fixed,
    line_taps,
    warp_taps,
    {add_area_u8, add_area_u16},
    {narrow_area_u8, narrow_area_u16},
    reduce_area,
    yuv_to_rgb,
    yuv_to_gray,
    rgb_to_gray,
    {store_f32<false>, store_f16<false>, store_real<uint8_t, false>, store_real<int8_t, false>,
     store_exact<uint8_t, false>, store_exact<int8_t, false>},
    {store_f32<true>, store_f16<true>, store_real<uint8_t, true>, store_real<int8_t, true>, store_exact<uint8_t, true>,
     store_exact<int8_t, true>},
    {{store_pixels_f32<float, 3>, nullptr, store_pixels_real<uint8_t, 3>, store_pixels_real<int8_t, 3>,
      store_pixels_exact<uint8_t, 3>, store_pixels_exact<int8_t, 3>},
     {store_pixels_f32<float, 4>, nullptr, store_pixels_real<uint8_t, 4>, store_pixels_real<int8_t, 4>,
      store_pixels_exact<uint8_t, 4>, store_pixels_exact<int8_t, 4>}},
};
