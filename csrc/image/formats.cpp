#include "image/formats.hpp"

#include <cstring>
#include <iterator>

namespace mnnlite::image {
namespace {

constexpr FormatInfo kFormats[] = {
    {"RGB", Family::rgb, 1, 1, 3, 0, 1, 2, -1, {{0, 0, 3, 0, 0}, {0, 1, 3, 0, 0}, {0, 2, 3, 0, 0}, {}}},
    {"BGR", Family::rgb, 1, 1, 3, 2, 1, 0, -1, {{0, 0, 3, 0, 0}, {0, 1, 3, 0, 0}, {0, 2, 3, 0, 0}, {}}},
    {"RGBA", Family::rgb, 1, 1, 4, 0, 1, 2, 3, {{0, 0, 4, 0, 0}, {0, 1, 4, 0, 0}, {0, 2, 4, 0, 0}, {0, 3, 4, 0, 0}}},
    {"BGRA", Family::rgb, 1, 1, 4, 2, 1, 0, 3, {{0, 0, 4, 0, 0}, {0, 1, 4, 0, 0}, {0, 2, 4, 0, 0}, {0, 3, 4, 0, 0}}},
    {"GRAY", Family::gray, 1, 1, 1, 0, 0, 0, -1, {{0, 0, 1, 0, 0}, {}, {}, {}}},
    {"RGB", Family::rgb, 2, 1, 3, 0, 1, 2, -1, {{0, 0, 6, 0, 0}, {0, 2, 6, 0, 0}, {0, 4, 6, 0, 0}, {}}},
    {"BGR", Family::rgb, 2, 1, 3, 2, 1, 0, -1, {{0, 0, 6, 0, 0}, {0, 2, 6, 0, 0}, {0, 4, 6, 0, 0}, {}}},
    {"RGBA", Family::rgb, 2, 1, 4, 0, 1, 2, 3, {{0, 0, 8, 0, 0}, {0, 2, 8, 0, 0}, {0, 4, 8, 0, 0}, {0, 6, 8, 0, 0}}},
    {"BGRA", Family::rgb, 2, 1, 4, 2, 1, 0, 3, {{0, 0, 8, 0, 0}, {0, 2, 8, 0, 0}, {0, 4, 8, 0, 0}, {0, 6, 8, 0, 0}}},
    {"GRAY", Family::gray, 2, 1, 1, 0, 0, 0, -1, {{0, 0, 2, 0, 0}, {}, {}, {}}},
    {"NV12", Family::yuv, 1, 2, 3, 0, 1, 2, -1, {{0, 0, 1, 0, 0}, {1, 0, 2, 1, 1}, {1, 1, 2, 1, 1}, {}}},
    {"NV21", Family::yuv, 1, 2, 3, 0, 1, 2, -1, {{0, 0, 1, 0, 0}, {1, 1, 2, 1, 1}, {1, 0, 2, 1, 1}, {}}},
    {"I420", Family::yuv, 1, 3, 3, 0, 1, 2, -1, {{0, 0, 1, 0, 0}, {1, 0, 1, 1, 1}, {2, 0, 1, 1, 1}, {}}},
    {"YUYV", Family::yuv, 1, 1, 3, 0, 1, 2, -1, {{0, 0, 2, 0, 0}, {0, 1, 4, 1, 0}, {0, 3, 4, 1, 0}, {}}},
    {"UYVY", Family::yuv, 1, 1, 3, 0, 1, 2, -1, {{0, 1, 2, 0, 0}, {0, 0, 4, 1, 0}, {0, 2, 4, 1, 0}, {}}},
};

// The component that says how wide and high a plane is: its last one (of YUYV chroma, which counts in pairs).
const Component& widest(const FormatInfo& info, int plane) noexcept {
  int last = 0;
  for (int c = 0; c < info.components; ++c)
    if (info.component[c].plane == plane) last = c;
  return info.component[last];
}

}  // namespace

static_assert(std::size(kFormats) == kFormatCount);

bool find_format(const char* name, int sample_bytes, Format& format) noexcept {
  for (int i = 0; i < kFormatCount; ++i)
    if (kFormats[i].sample_bytes == sample_bytes && std::strcmp(kFormats[i].name, name) == 0) {
      format = static_cast<Format>(i);
      return true;
    }
  return false;
}

const FormatInfo& info_of(Format format) noexcept { return kFormats[static_cast<int>(format)]; }

ptrdiff_t row_bytes(Format format, int plane, int32_t width) noexcept {
  const Component& component = widest(info_of(format), plane);
  return static_cast<ptrdiff_t>(samples_of(width, component.shift_x)) * component.step;
}

int32_t rows_of(Format format, int plane, int32_t height) noexcept {
  return samples_of(height, widest(info_of(format), plane).shift_y);
}

int32_t bits_of(const ImageView& view) noexcept {
  return view.bits != 0 ? view.bits : 8 * info_of(view.format).sample_bytes;
}

Status check_view(const ImageView& view) noexcept {
  const FormatInfo& info = info_of(view.format);
  if (info.sample_bytes == 2 ? bits_of(view) < 10 || bits_of(view) > 16 : bits_of(view) != 8)
    return Status::error(Code::argument, "bits: got %d, wanted %s", view.bits,
                         info.sample_bytes == 2 ? "10 to 16" : "8 for samples of uint8: 10 to 16 bits come as uint16");
  if (view.width < 1 || view.height < 1)
    return Status::error(Code::argument, "the frame has no pixels: got %d x %d, wanted at least 1 x 1", view.width,
                         view.height);
  if (view.width > (1 << 19) || view.height > (1 << 19))
    return Status::error(Code::argument, "the frame is too large: got %d x %d, wanted at most 524288 a side",
                         view.width, view.height);
  for (int plane = 0; plane < info.planes; ++plane) {
    const ptrdiff_t bytes = row_bytes(view.format, plane, view.width);
    if (view.plane[plane] == nullptr)
      return Status::error(Code::argument, "plane %d of the %s frame is missing", plane, info.name);
    if (view.stride[plane] < 0)
      return Status::error(Code::layout,
                           "rows of plane %d run upwards (stride %td bytes), wanted downwards: pass a contiguous copy",
                           plane, view.stride[plane]);
    if (view.stride[plane] < bytes && rows_of(view.format, plane, view.height) > 1)
      return Status::error(Code::layout, "rows of plane %d overlap: got a stride of %td bytes, wanted at least %td",
                           plane, view.stride[plane], bytes);
    if (info.sample_bytes == 2 &&
        (reinterpret_cast<uintptr_t>(view.plane[plane]) % 2 != 0 || view.stride[plane] % 2 != 0))
      return Status::error(Code::layout, "16-bit samples of plane %d lie at odd addresses: pass an aligned copy",
                           plane);
  }
  return {};
}

}  // namespace mnnlite::image
