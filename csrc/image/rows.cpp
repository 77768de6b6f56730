// The end of every pass: a row of sampled components becomes a row of the tensor.
#include <algorithm>
#include <cstring>

#include "image/plan_data.hpp"

namespace mnnlite::image {
namespace {

template <typename T>
void fill_elements(uint8_t* to, const uint8_t* value, ptrdiff_t step, int32_t count) noexcept {
  T element;
  std::memcpy(&element, value, sizeof element);
  T* out = reinterpret_cast<T*>(to);
  if (step == 1)
    for (int32_t i = 0; i < count; ++i) out[i] = element;
  else
    for (int32_t i = 0; i < count; ++i) out[i * step] = element;
}

void fill(const Job& job, const Channel& channel, const uint8_t* value, int32_t x, int32_t y, int32_t count) noexcept {
  uint8_t* to = element_at(job, channel, x, y);
  if (job.plan.element == 4)
    fill_elements<uint32_t>(to, value, job.plan.x_step, count);
  else if (job.plan.element == 2)
    fill_elements<uint16_t>(to, value, job.plan.x_step, count);
  else
    fill_elements<uint8_t>(to, value, job.plan.x_step, count);
}

// A row of v for channels that only a packed layout has. Never written.
int32_t zeros[kMaxSide];

// All channels of a pixel at once, if they lie side by side and each has a row to come from.
bool store_pixels(const Job& job, int32_t* const v[4], int32_t x, int32_t y, int32_t count) noexcept {
  const PlanData& plan = job.plan;
  if (plan.x_step != plan.stored || plan.stored < 3 || plan.stored > 4) return false;
  const StorePixels store = plan.kernels->store_pixels[plan.stored - 3][static_cast<int>(plan.store)];
  if (store == nullptr) return false;
  const int32_t* rows[4] = {};
  float k[4] = {}, b[4] = {};
  for (int32_t c = 0; c < plan.stored; ++c) {
    const Channel& channel = plan.channels[c];
    if (channel.source == kOpaque) return false;
    rows[c] = channel.source >= 0 ? v[channel.source] : zeros;
    k[c] = channel.k;
    b[c] = channel.b;
  }
  store(rows, count, k, b, plan.bits, element_at(job, plan.channels[0], x, y));
  return true;
}

// Pixels whose channels lie side by side: one of them, and then what is there already once more.
void pad_pixels(const Job& job, int32_t x, int32_t y, int32_t count) noexcept {
  const PlanData& plan = job.plan;
  uint8_t* const to = element_at(job, plan.channels[0], x, y);
  const auto element = static_cast<size_t>(plan.element), pixel = element * static_cast<size_t>(plan.stored);
  for (int32_t c = 0; c < plan.stored; ++c)
    std::memcpy(to + static_cast<size_t>(c) * element, plan.channels[c].pad, element);
  const size_t all = pixel * static_cast<size_t>(count);
  for (size_t done = pixel; done < all; done *= 2) std::memcpy(to + done, to, std::min(done, all - done));
}

}  // namespace

void pad_row(const Job& job, int32_t x, int32_t y, int32_t count) noexcept {
  if (count <= 0) return;
  if (job.plan.x_step == job.plan.stored && job.plan.stored > 1) return pad_pixels(job, x, y, count);
  for (int32_t c = 0; c < job.plan.stored; ++c) fill(job, job.plan.channels[c], job.plan.channels[c].pad, x, y, count);
}

void fill_constant_channels(const Job& job, int32_t x, int32_t y, int32_t count) noexcept {
  if (!job.plan.constants) return;
  for (int32_t c = 0; c < job.plan.stored; ++c)
    if (job.plan.channels[c].source < 0) fill(job, job.plan.channels[c], job.plan.channels[c].constant, x, y, count);
}

void finish_row(const Job& job, int32_t* const v[4], int32_t x, int32_t y, int32_t count) noexcept {
  const PlanData& plan = job.plan;
  const Kernels& kernels = *plan.kernels;
  switch (plan.convert) {
    case Convert::none: break;
    case Convert::yuv_rgb: kernels.yuv_to_rgb(v[0], v[1], v[2], count, plan.sampled_bits, job.yuv); break;
    case Convert::yuv_gray: kernels.yuv_to_gray(v[0], count, plan.sampled_bits, job.yuv); break;
    case Convert::rgb_gray: {
      const FormatInfo& info = *plan.info;
      const int32_t kept = info.sample_bytes == 2 ? 0 : 7;
      kernels.rgb_to_gray(v[info.red], v[info.green], v[info.blue], count, plan.sampled_bits - kept, v[0]);
      break;
    }
  }
  if (store_pixels(job, v, x, y, count)) return;
  const StoreRow store = (plan.x_step == 1 ? kernels.store : kernels.store_strided)[static_cast<int>(plan.store)];
  for (int32_t c = 0; c < plan.stored; ++c) {
    const Channel& channel = plan.channels[c];
    if (channel.source >= 0)
      store(v[channel.source], count, channel.k, channel.b, plan.bits, element_at(job, channel, x, y), plan.x_step);
  }
  fill_constant_channels(job, x, y, count);
}

}  // namespace mnnlite::image
