// Heat maps of object centres. CenterFace: heat map, scale, offset and landmarks. CenterNet: one heat map a class, width
// and height, offset; peaks are the local maxima. Outputs are told apart by their channels, in the order given.
// Definition: mnnlite/reference/decode/centerface.py. Sources: Xu et al. 2020 (CenterFace), section 3.2 and
// Star-Clouds/CenterFace, prj-python/centerface.py decode; Zhou et al. 2019 (Objects as Points), section 4 and
// xingyizhou/CenterNet, src/lib/models/decode.py ctdet_decode.
#include <algorithm>
#include <cmath>

#include "decode/common/channel_argmax.hpp"
#include "decode/common/detections.hpp"
#include "decode/common/math.hpp"
#include "decode/common/reader.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

constexpr const char* kVariants[] = {"centerface", "centernet", nullptr};

class CenterFace final : public Detector {
 public:
  explicit CenterFace(Options& options) : Detector("centerface", 2, 4) {
    options_.score = 0.5f;
    options_.nms.iou = 0.3f;
    options_.read(options);
    centernet_ = options.choice("variant", kVariants, 0) == 1;
    sigmoid_ = options.flag("sigmoid", false);
    peaks_ = options.flag("peaks", centernet_);
    cut_ = sigmoid_ ? logit_of(options_.score) : options_.score;
  }

 private:
  // heat map, size, offset, landmarks; -1 = not there
  enum { kHeat, kSize, kOffset, kMarks };

  Status prepare(const TensorView* desc, int n, Needs& needs) override {
    n_ = n;
    char text[96];
    for (int i = 0; i < n; ++i) {
      ImageDims dims;
      if (desc[i].rank != 4 || !image_dims(desc[i], dims) ||
          (i > 0 && (dims.height != dims_.height || dims.width != dims_.width)))
        return Status::error(
            Code::decoder,
            "centerface: output \"%s\" is %s; heat map, size, offset and landmarks, all [N, numbers, rows, columns] "
            "of one size, are wanted in this order",
            desc[i].name, describe(desc[i], text));
      const bool fits = i == kHeat || (i < kMarks ? dims.channels == 2 : dims.channels % 2 == 0);
      if (!fits)
        return Status::error(
            Code::decoder, "centerface: output \"%s\" is %s, %s is wanted as output %d; name them in order by tensors",
            desc[i].name, describe(desc[i], text), i < kMarks ? "2 numbers a cell" : "x, y of each landmark", i);
      if (i == kHeat) dims_ = dims;
      if (i == kMarks) points_.count = dims.channels / 2;
      MNNLITE_TRY(readers_[i].plan(name(), desc[i], Order::chw, needs));
    }
    const int64_t area = int64_t{dims_.height} * dims_.width;
    if (n <= kMarks) points_.count = 0;
    best_ = needs.scratch<float>(area);
    index_ = needs.scratch<int32_t>(area);
    hits_ = needs.scratch<int32_t>(area);
    // Every cell could be a peak of every class; more than this are cut to the best on the way.
    capacity_ = static_cast<int32_t>(
        std::min(area * (peaks_ ? dims_.channels : 1), std::max(int64_t{16384}, int64_t{2} * options_.nms.top_k)));
    ask_for_detections(needs, capacity_);
    return {};
  }

  Status run_slot(const Call& call, int slot) const noexcept override {
    const mnnlite_item& item = call.items[slot];
    MNNLITE_TRY(need_net_size(item));
    const int32_t area = dims_.height * dims_.width;
    const float* heat = readers_[kHeat].read(call, call.tensors[kHeat], slot);
    const float* maps[4] = {heat, nullptr, nullptr, nullptr};
    for (int i = 1; i < n_; ++i) maps[i] = readers_[i].read(call, call.tensors[i], slot);
    float* best = call.at<float>(best_);
    int32_t *index = call.at<int32_t>(index_), *hits = call.at<int32_t>(hits_);
    if (!channel_argmax(heat, dims_.channels, area, area, best, index))
      return not_finite(call.tensors[kHeat], slot, heat, int64_t{area} * dims_.channels);
    const int32_t n_hits = above(best, area, cut_, hits);
    Candidate* found = candidates(call);
    int32_t count = 0;
    for (int32_t k = 0; k < n_hits; ++k) {
      const int32_t cell = hits[k];
      for (int32_t c = 0; c < dims_.channels; ++c) {
        const float value = heat[int64_t{c} * area + cell];
        // Without peaks a cell is of its best class; with them each class has peaks of its own.
        if (peaks_ ? !(value > cut_) || !is_peak(heat + int64_t{c} * area, cell) : c != index[cell]) continue;
        if (count == capacity_) {
          call.sink.truncated = 1;
          count = keep_best(found, count, options_.nms.top_k);
        }
        Candidate& candidate = found[count++];
        candidate = {sigmoid_ ? sigmoid_f32(value) : value, c, cell, {}};
        decode_box(item, maps, cell, candidate.box);
        if (!peaks_) break;
      }
    }
    return emit(call, slot, call.tensors[kSize], count);
  }

  bool is_peak(const float* map, int32_t cell) const noexcept {
    const int32_t x = cell % dims_.width, y = cell / dims_.width;
    for (int32_t v = y > 0 ? y - 1 : 0; v <= y + 1 && v < dims_.height; ++v)
      for (int32_t u = x > 0 ? x - 1 : 0; u <= x + 1 && u < dims_.width; ++u)
        if (map[v * dims_.width + u] > map[cell]) return false;
    return true;
  }

  void decode_box(const mnnlite_item& item, const float* const* maps, int32_t cell, float* box) const noexcept {
    const int32_t area = dims_.height * dims_.width;
    const float stride_x = static_cast<float>(item.net_width) / static_cast<float>(dims_.width);
    const float stride_y = static_cast<float>(item.net_height) / static_cast<float>(dims_.height);
    const float x = static_cast<float>(cell % dims_.width), y = static_cast<float>(cell / dims_.width);
    const float first = maps[kSize][cell], second = maps[kSize][area + cell];
    float cx, cy, w, h;
    if (centernet_) {  // width, height; x, y
      cx = (x + (n_ > kOffset ? maps[kOffset][cell] : 0.5f)) * stride_x;
      cy = (y + (n_ > kOffset ? maps[kOffset][area + cell] : 0.5f)) * stride_y;
      w = first * stride_x, h = second * stride_y;
    } else {  // height, width as logarithms; y, x
      cx = (x + (n_ > kOffset ? maps[kOffset][area + cell] : 0.0f) + 0.5f) * stride_x;
      cy = (y + (n_ > kOffset ? maps[kOffset][cell] : 0.0f) + 0.5f) * stride_y;
      h = exp_f32(first) * stride_y, w = exp_f32(second) * stride_x;
    }
    box[0] = cx - w * 0.5f, box[1] = cy - h * 0.5f, box[2] = cx + w * 0.5f, box[3] = cy + h * 0.5f;
  }

  void fill_points(const Call& call, int slot, const Candidate& candidate, float* values) const noexcept override {
    const int32_t area = dims_.height * dims_.width;
    const float* maps[4] = {};
    for (int i = 0; i < n_; ++i) maps[i] = readers_[i].again(call, call.tensors[i], slot);
    // Landmarks are relative to the box the cell itself gives, not to a blended one.
    float box[4];
    decode_box(call.items[slot], maps, candidate.index, box);
    for (int32_t k = 0; k < points_.count; ++k) {
      const float first = maps[kMarks][int64_t{2 * k} * area + candidate.index],
                  second = maps[kMarks][int64_t{2 * k + 1} * area + candidate.index];
      values[2 * k] = second * (box[2] - box[0]) + box[0];
      values[2 * k + 1] = first * (box[3] - box[1]) + box[1];
    }
  }

  bool centernet_, sigmoid_, peaks_;
  float cut_;
  int n_ = 0;
  int32_t capacity_ = 0;
  ImageDims dims_;
  Reader readers_[4];
  size_t best_ = 0, index_ = 0, hits_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> make_centerface(Options& options) { return std::make_unique<CenterFace>(options); }

}  // namespace mnnlite
