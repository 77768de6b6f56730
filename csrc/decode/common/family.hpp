// Base of the built-in families: what every one of them must check before it touches a tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "decode/decoder.hpp"

namespace mnnlite {

// What a family asks for while it is planned. Counts are wide and checked, so that hostile dims cannot wrap.
class Needs {
 public:
  Needs(mnnlite_needs& needs, int max_items) noexcept : needs_(needs), max_items_(max_items) {}

  int max_items() const noexcept { return max_items_; }
  int32_t frame_width() const noexcept { return needs_.frame_width; }
  int32_t frame_height() const noexcept { return needs_.frame_height; }
  void depends_on_frame() noexcept { needs_.depends_on_frame = 1; }
  void kind(int32_t value) noexcept { needs_.kind = value; }

  // Pools, in total for all slots.
  void rows(int64_t count) noexcept { pool(needs_.rows, count); }
  void values(int64_t count) noexcept { pool(needs_.values, count); }
  void chars(int64_t count) noexcept { pool(needs_.chars, count); }
  void pixels(int64_t count) noexcept { pool(needs_.pixels, count); }

  // Room for `count` elements in the scratch memory; the result is its offset, aligned to a cache line.
  template <class T>
  size_t scratch(int64_t count) noexcept {
    const size_t offset = needs_.scratch;
    if (count < 0 || count > kMost / static_cast<int64_t>(sizeof(T))) {
      too_large_ = true;
      return offset;
    }
    needs_.scratch += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    if (needs_.scratch > static_cast<size_t>(kMost)) too_large_ = true;
    return offset;
  }

  // How many classes the outputs tell apart, where that can be seen.
  void classes(int32_t count) noexcept { classes_ = count; }
  int32_t classes() const noexcept { return classes_; }

  bool too_large() const noexcept { return too_large_; }

 private:
  static constexpr int64_t kMost = int64_t{1} << 31;  // 2 GiB: no head of a small network comes near

  void pool(int32_t& field, int64_t count) noexcept {
    if (count < 0 || count > INT32_MAX)
      too_large_ = true;
    else
      field = static_cast<int32_t>(count);
  }

  mnnlite_needs& needs_;
  int max_items_;
  int32_t classes_ = 0;
  bool too_large_ = false;
};

// One call of decode, checked.
struct Call {
  const TensorView* tensors;
  int n;
  const mnnlite_item* items;
  int n_items;
  mnnlite_sink& sink;
  char* scratch;

  template <class T>
  T* at(size_t offset) const noexcept {
    return reinterpret_cast<T*>(scratch + offset);
  }
};

class BuiltIn : public Decoder {
 public:
  const char* name() const noexcept final { return name_; }
  void expect_names(int32_t count) noexcept final { names_ = count; }
  Status plan(const TensorView* desc, int n, int max_items, mnnlite_needs& needs) noexcept final;
  Status decode(const TensorView* tensors, int n, const mnnlite_item* items, int n_items, mnnlite_sink& sink,
                void* scratch) const noexcept final;

 protected:
  BuiltIn(const char* name, int min_tensors, int max_tensors) noexcept
      : name_(name), min_tensors_(min_tensors), max_tensors_(max_tensors) {}
  // For heads whose outputs have this rank with their batch: those of one item may come without it, and get it.
  void batched_rank(int rank) noexcept { batched_rank_ = rank; }

  int32_t names() const noexcept { return names_; }  // of classes that the caller has; 0: not known
  // A score that is no probability comes from a wrong setting. `likely` says which.
  Status not_probability(const TensorView& tensor, float score, const char* likely) const noexcept;

  // May throw bad_alloc; tensors have positive dims, a known dtype and layout, and fewer than 2^31 elements.
  virtual Status prepare(const TensorView* desc, int n, Needs& needs) = 0;
  // One slot of the batch. Tensors have the planned shapes and data, n_items is in [1, max_items], the pools are as asked for.
  virtual Status run_slot(const Call& call, int slot) const noexcept = 0;

 private:
  const char* name_;
  int min_tensors_, max_tensors_;
  static constexpr int kMostBatched = 8;  // heads that take outputs without a batch take few
  // The tensors with their batch: those given, or copies of their descriptions in `copies`.
  const TensorView* with_batch(const TensorView* tensors, int n, int max_items,
                               TensorView (&copies)[kMostBatched]) const noexcept;

  int max_items_ = 0, batched_rank_ = 0;
  int32_t names_ = 0;
  mnnlite_needs needs_{};
  std::vector<TensorView> planned_;
};

// Scores are computed, so what is 1 may be a little more.
constexpr float kMostProbability = 1.01f;

// "[1, 85, 22, 22] float32 NCHW" into `text`, which it returns.
const char* describe(const TensorView& tensor, char (&text)[96]) noexcept;

}  // namespace mnnlite
