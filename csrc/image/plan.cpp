#include "image/plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "image/kernels_scalar.hpp"

namespace mnnlite {
namespace {

using image::Channel;
using image::Component;
using image::Convert;
using image::Family;
using image::FormatInfo;
using image::Group;
using image::Kind;
using image::PlanData;
using image::Store;

// Which axis of the tensor is which, from its own layout or the spec's.
Status take_tensor(const ImageSpec& spec, const TensorView& desc, PlanData& data) noexcept {
  if (desc.rank != 4)
    return Status::error(Code::layout, "the tensor has %d axes, an image needs 4 (batch, channels, height, width)",
                         desc.rank);
  if (spec.dtype != 0 && spec.dtype != desc.dtype)
    return Status::error(Code::dtype, "the tensor is %s, the spec says dtype=%s: leave dtype out to take the tensor's",
                         name_of(dtype_of(desc)), name_of(static_cast<DType>(spec.dtype)));
  Layout layout = layout_of(desc);
  if (spec.layout >= 0) {
    const auto wanted = static_cast<Layout>(spec.layout);
    // Naming the axes cannot change how memory lies: packed stays packed.
    if (wanted != layout && (pack_of(wanted) > 1 || pack_of(layout) > 1))
      return Status::error(Code::layout, "the tensor lies in memory as %s, the spec says layout=%s: leave layout out",
                           name_of(layout), name_of(wanted));
    layout = wanted;
  }
  if (layout == Layout::plain)
    return Status::error(Code::layout,
                         "the tensor does not say which axis is which: set ImageSpec(layout='NCHW') or 'NHWC'");
  data.desc = desc;
  data.desc.layout = static_cast<int32_t>(layout);
  const bool last = layout == Layout::nhwc;
  const int32_t channels = desc.dims[last ? 3 : 1];
  data.height = desc.dims[last ? 1 : 2];
  data.width = desc.dims[last ? 2 : 3];
  const int32_t wanted_channels = channels_of(spec.color);
  if (channels != wanted_channels)
    return Status::error(Code::layout, "the tensor has %d channels as %s, color %s has %d: change color or layout",
                         channels, name_of(layout),
                         spec.color == Color::gray ? "GRAY"
                         : wanted_channels == 3    ? "RGB/BGR"
                                                   : "RGBA/BGRA",
                         wanted_channels);
  if (data.width < 1 || data.height < 1 || data.width > kMaxSide || data.height > kMaxSide || desc.dims[0] < 1)
    return Status::error(Code::layout, "the tensor is %d x %d with %d slots, wanted 1 to %d a side and at least 1 slot",
                         data.width, data.height, desc.dims[0], kMaxSide);
  if (spec.multiple > 0) {
    if (data.width > spec.width || data.height > spec.height || data.width % spec.multiple != 0 ||
        data.height % spec.multiple != 0)
      return Status::error(Code::layout, "the tensor is %d x %d, wanted multiples of %d up to the spec's size %d x %d",
                           data.width, data.height, spec.multiple, spec.width, spec.height);
  } else if (spec.width > 0 && (data.width != spec.width || data.height != spec.height)) {
    return Status::error(Code::layout,
                         "the tensor is %d x %d, the spec says size %d x %d: leave size out to take the tensor's",
                         data.width, data.height, spec.width, spec.height);
  }
  return {};
}

void take_strides(PlanData& data) noexcept {
  const Layout layout = layout_of(data.desc);
  const int32_t pack = pack_of(layout), channels = channels_of(data.spec.color);
  const ptrdiff_t area = static_cast<ptrdiff_t>(data.width) * data.height;
  data.element = static_cast<int32_t>(size_of(dtype_of(data.desc)));
  data.x_step = layout == Layout::nhwc ? channels : pack;
  data.row_step = data.x_step * data.width;
  data.stored = (channels + pack - 1) / pack * pack;
  data.slot_step = area * data.stored;
  for (int32_t c = 0; c < std::min(data.stored, image::kMaxStored); ++c)
    data.channels[c].at = layout == Layout::nhwc ? c : c / pack * area * pack + c % pack;
}

// `components` in the order of memory.
Group group_of(const FormatInfo& info, std::initializer_list<int8_t> components, Kind kind) noexcept {
  Group group{};
  group.kind = kind;
  group.count = static_cast<int8_t>(components.size());
  std::copy(components.begin(), components.end(), group.component);
  const Component& first = info.component[group.component[0]];
  group.plane = first.plane;
  group.base = first.offset;
  group.step = first.step;
  group.shift_x = first.shift_x;
  group.shift_y = first.shift_y;
  return group;
}

// What has to be read of the frame for the wanted colour, and how it is converted.
void take_components(PlanData& data) noexcept {
  const FormatInfo& info = *data.info;
  const bool gray = data.spec.color == Color::gray, wide = info.sample_bytes == 2;
  const auto add = [&](Group group) { data.groups[data.group_count++] = group; };
  data.sampled_bits = data.spec.filter == Filter::area ? (wide ? 14 : 21) : (wide ? 11 : 18);
  data.bits = data.sampled_bits;
  if (info.family == Family::gray) {
    add(group_of(info, {0}, wide ? Kind::wide1 : Kind::c1s1));
  } else if (info.family == Family::rgb) {
    const bool alpha = info.alpha >= 0 && channels_of(data.spec.color) == 4;
    if (info.components == 3)
      add(group_of(info, {0, 1, 2}, wide ? Kind::wide3 : Kind::c3s3));
    else if (alpha)
      add(group_of(info, {0, 1, 2, 3}, wide ? Kind::wide4 : Kind::c4s4));
    else
      add(group_of(info, {0, 1, 2}, wide ? Kind::wide3s4 : Kind::c3s4));
    if (gray) {
      data.convert = Convert::rgb_gray;
      data.bits = (wide ? 0 : 7) + image::kGrayBits;
    }
  } else {
    const bool packed = info.planes == 1;
    add(group_of(info, {0}, packed ? Kind::c1s2 : Kind::c1s1));
    if (!gray && info.planes == 3) {
      add(group_of(info, {1}, Kind::c1s1));
      add(group_of(info, {2}, Kind::c1s1));
    } else if (!gray) {
      const Kind kind = packed ? Kind::c2s4 : Kind::c2s2;
      const bool u_first = info.component[1].offset < info.component[2].offset;
      add(u_first ? group_of(info, {1, 2}, kind) : group_of(info, {2, 1}, kind));
    }
    data.convert = gray ? Convert::yuv_gray : Convert::yuv_rgb;
    data.bits = 7 + image::kYuvBits;
  }
}

void take_channels(PlanData& data) noexcept {
  const FormatInfo& info = *data.info;
  // Rows of v after the conversion, in the order red, green, blue, alpha.
  const bool from_yuv = data.convert == Convert::yuv_rgb;
  const int8_t rows[4] = {from_yuv ? int8_t{0} : info.red, from_yuv ? int8_t{1} : info.green,
                          from_yuv ? int8_t{2} : info.blue, from_yuv ? int8_t{-1} : info.alpha};
  const bool bgr = data.spec.color == Color::bgr || data.spec.color == Color::bgra;
  for (int32_t c = 0; c < std::min(data.stored, image::kMaxStored); ++c) {
    int8_t& source = data.channels[c].source;
    if (c >= channels_of(data.spec.color))
      source = image::kPackPadding;
    else if (data.spec.color == Color::gray)
      source = 0;
    else if (c == 3)
      source = rows[3] >= 0 ? rows[3] : image::kOpaque;
    else
      source = rows[bgr ? 2 - c : c];
    data.constants = data.constants || source < 0;
  }
}

void take_values(PlanData& data) noexcept {
  const ImageSpec& spec = data.spec;
  const DType dtype = dtype_of(data.desc);
  const bool integer = dtype == DType::u8 || dtype == DType::i8;
  const double scale = !integer ? 1 : spec.scale > 0 ? spec.scale : data.desc.scale > 0 ? data.desc.scale : 1;
  const int32_t zero = !integer              ? 0
                       : spec.has_zero_point ? spec.zero_point
                       : data.desc.scale > 0 ? data.desc.zero_point
                                             : 0;
  const int32_t largest = (1 << data.sample_bits) - 1;  // what counts as p = 255
  const double one = static_cast<double>(1 << data.bits) * (largest / 255.0);
  bool exact = integer && scale == 1 && zero == 0 && data.info->sample_bytes == 1;
  for (int32_t c = 0; c < channels_of(spec.color); ++c) exact = exact && spec.mean[c] == 0 && spec.std[c] == 1;
  data.store = dtype == DType::f32   ? Store::f32
               : dtype == DType::f16 ? Store::f16
               : dtype == DType::u8  ? (exact ? Store::u8_exact : Store::u8)
                                     : (exact ? Store::i8_exact : Store::i8);
  const image::StoreRow store = image::kBaselineKernels.store[static_cast<int>(data.store)];
  const int32_t top = largest << data.bits;
  for (int32_t c = 0; c < std::min(data.stored, image::kMaxStored); ++c) {
    Channel& channel = data.channels[c];
    if (channel.source == image::kPackPadding) continue;  // zeros
    channel.k = static_cast<float>(1.0 / (spec.std[c] * scale * one));
    channel.b = static_cast<float>(zero - spec.mean[c] / (spec.std[c] * scale));
    const auto pad = static_cast<int32_t>(std::min(std::floor(spec.pad[c] * one + 0.5), static_cast<double>(top)));
    store(&pad, 1, channel.k, channel.b, data.bits, channel.pad, 1);
    store(&top, 1, channel.k, channel.b, data.bits, channel.constant, 1);
  }
}

// One pass is possible if every sampled component becomes exactly one dense float channel.
void take_passes(PlanData& data) noexcept {
  if (data.spec.filter == Filter::area || data.store != Store::f32 || data.x_step != 1) return;
  int uses[4] = {};
  for (int32_t c = 0; c < data.stored; ++c)
    if (data.channels[c].source >= 0) ++uses[data.channels[c].source];
  if (data.convert == Convert::yuv_rgb) {
    data.fused_yuv = data.kernels->yuv_f32[static_cast<int>(image::chroma_of(*data.info))] != nullptr;
  } else if (data.convert == Convert::none) {
    data.fused = data.kernels->sample_f32[static_cast<int>(data.groups[0].kind)] != nullptr;
    for (int i = 0; i < data.groups[0].count; ++i) data.fused = data.fused && uses[data.groups[0].component[i]] == 1;
  }
}

}  // namespace

Status ImagePlan::make(const ImageSpec& spec, Format format, const TensorView& desc, int32_t max_items, ImagePlan& out,
                       const Isa* isa, int32_t bits) noexcept {
  MNNLITE_TRY(check_spec(spec));
  PlanData data;
  data.spec = spec;
  data.format = format;
  data.info = &image::info_of(format);
  data.sample_bits = bits != 0 ? bits : 8 * data.info->sample_bytes;
  Isa chosen = Isa::baseline;
  if (isa != nullptr)
    chosen = *isa;
  else
    MNNLITE_TRY(choose_isa(chosen));
  data.kernels = &image::kernels_of(chosen);
  MNNLITE_TRY(take_tensor(spec, desc, data));
  switch (dtype_of(desc)) {
    case DType::f32:
    case DType::f16:
    case DType::u8:
    case DType::i8: break;
    default:
      return Status::error(Code::dtype, "the tensor is %s, an image can be float32, float16, uint8 or int8",
                           name_of(dtype_of(desc)));
  }
  if (max_items < 1 || max_items > desc.dims[0])
    return Status::error(Code::argument, "max_items: got %d, wanted 1 to the tensor's %d slots", max_items,
                         desc.dims[0]);
  data.max_items = max_items;
  std::memset(data.channels, 0, sizeof data.channels);
  take_strides(data);
  take_components(data);
  take_channels(data);
  take_values(data);
  take_passes(data);
  out.data_ = data;
  return {};
}

size_t ImagePlan::scratch_bytes(int32_t frame_width, int32_t) const noexcept {
  return std::max(
      data_.spec.filter == Filter::area ? image::scratch_area(data_, frame_width) : image::scratch_axis_aligned(data_),
      image::scratch_warped(data_));
}

Mapping ImagePlan::mapping(const Region& region) const noexcept {
  return image::network_to_frame(region, image::place(data_.spec, region, data_.width, data_.height));
}

void ImagePlan::picture(const Region& region, int32_t out[4]) const noexcept {
  const image::Placement placed = image::place(data_.spec, region, data_.width, data_.height);
  out[0] = placed.left;
  out[1] = placed.top;
  out[2] = placed.left + placed.width;
  out[3] = placed.top + placed.height;
}

Status ImagePlan::run(const ImageView& view, const Region* regions, int32_t n, const TensorView& out,
                      void* scratch) const noexcept {
  if (view.format != data_.format)
    return Status::error(Code::argument, "the frame is %s, this plan is for %s", image::info_of(view.format).name,
                         data_.info->name);
  MNNLITE_TRY(image::check_view(view));
  if (image::bits_of(view) != data_.sample_bits)
    return Status::error(Code::argument, "the frame has %d bits a sample, this plan is for %d", image::bits_of(view),
                         data_.sample_bits);
  if (n < 0 || n > data_.max_items || n > out.dims[0])
    return Status::error(Code::argument,
                         "got %d regions, wanted at most %d: the plan's max_items and the tensor's slots", n,
                         std::min(data_.max_items, out.dims[0]));
  if (out.rank != 4 || out.dtype != data_.desc.dtype || pack_of(layout_of(out)) != pack_of(layout_of(data_.desc)) ||
      !std::equal(out.dims + 1, out.dims + 4, data_.desc.dims + 1))
    return Status::error(Code::layout, "the tensor is not like the one that the plan was made for");
  if (out.data == nullptr || reinterpret_cast<uintptr_t>(out.data) % static_cast<uintptr_t>(data_.element) != 0)
    return Status::error(Code::layout, "the tensor's memory is missing or not aligned to its elements");
  for (int32_t i = 0; i < n; ++i) MNNLITE_TRY(image::check_region(regions[i]));
  const image::YuvMatrix yuv = image::yuv_matrix(view.matrix, view.range);
  for (int32_t i = 0; i < n; ++i) {
    const image::Placement placed = image::place(data_.spec, regions[i], data_.width, data_.height);
    const image::Job job{data_,
                         view,
                         regions[i],
                         placed,
                         image::network_to_frame(regions[i], placed),
                         yuv,
                         static_cast<uint8_t*>(out.data) + i * data_.slot_step * data_.element,
                         scratch};
    const bool area = data_.spec.filter == Filter::area;
    if (!job.map.axis_aligned() && area)
      return Status::error(Code::argument,
                           "filter 'area' is for axis-aligned regions, region %d is turned or slanted: use 'bilinear'",
                           i);
    for (int plane = 0; !job.map.axis_aligned() && plane < data_.info->planes; ++plane)
      if (view.stride[plane] > INT32_MAX / view.height)
        return Status::error(Code::argument,
                             "region %d is turned or slanted, and the frame has more than 2 GiB: cut it", i);
    if (!job.map.axis_aligned())
      image::run_warped(job);
    else if (area)
      image::run_area(job);
    else
      image::run_axis_aligned(job);
  }
  return {};
}

TensorView slots_from(const TensorView& tensor, int32_t items) noexcept {
  TensorView rest = tensor;
  const size_t slot = tensor.dims[0] > 0 ? stored_bytes(tensor) / static_cast<size_t>(tensor.dims[0]) : 0;
  rest.data = static_cast<uint8_t*>(tensor.data) + slot * static_cast<size_t>(items);
  rest.dims[0] -= items;
  return rest;
}

}  // namespace mnnlite
