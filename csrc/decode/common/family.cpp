#include "decode/common/family.hpp"

#include <algorithm>
#include <cmath>
#include <new>

namespace mnnlite {
namespace {

Status check_tensor(const char* family, const TensorView& tensor) noexcept {
  const char* name = tensor.name ? tensor.name : "?";
  if (tensor.rank < 0 || tensor.rank > MNNLITE_MAX_RANK)
    return Status::error(Code::decoder, "%s: output \"%s\" has rank %d, at most %d is possible", family, name,
                         static_cast<int>(tensor.rank), MNNLITE_MAX_RANK);
  if (size_of(dtype_of(tensor)) == 0)
    return Status::error(Code::decoder, "%s: output \"%s\" has an unknown dtype (%d)", family, name,
                         static_cast<int>(tensor.dtype));
  if (tensor.layout < MNNLITE_PLAIN || tensor.layout > MNNLITE_NC8HW8)
    return Status::error(Code::decoder, "%s: output \"%s\" has an unknown layout (%d)", family, name,
                         static_cast<int>(tensor.layout));
  const Layout layout = layout_of(tensor);
  if (pack_of(layout) > 1 && tensor.rank < 2)
    return Status::error(Code::decoder, "%s: output \"%s\" is packed %s but has rank %d", family, name, name_of(layout),
                         static_cast<int>(tensor.rank));
  int64_t count = 1;
  for (int axis = 0; axis < tensor.rank; ++axis) {
    const int64_t extent = tensor.dims[axis];
    if (extent <= 0)
      return Status::error(Code::decoder, "%s: axis %d of output \"%s\" has %d elements, at least 1 is wanted", family,
                           axis, name, static_cast<int>(extent));
    // Rounded up to a whole packed group, which is what lies in memory.
    count *= axis == 1 ? (extent + 7) / 8 * 8 : extent;
    if (count > INT32_MAX)
      return Status::error(Code::decoder, "%s: output \"%s\" has more than 2^31 elements", family, name);
  }
  return {};
}

bool same(const TensorView& a, const TensorView& b) noexcept {
  return a.dtype == b.dtype && a.layout == b.layout && a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
}

}  // namespace

const char* describe(const TensorView& tensor, char (&text)[96]) noexcept {
  size_t length = 0;
  auto put = [&](const char* format, auto... values) {
    const int written = std::snprintf(text + length, sizeof text - length, format, values...);
    if (written > 0) length = std::min(length + static_cast<size_t>(written), sizeof text - 1);
  };
  put("[");
  for (int axis = 0; axis < tensor.rank && axis < MNNLITE_MAX_RANK; ++axis)
    put(axis ? ", %d" : "%d", static_cast<int>(tensor.dims[axis]));
  put("] %s %s", name_of(dtype_of(tensor)), name_of(layout_of(tensor)));
  return text;
}

const TensorView* BuiltIn::with_batch(const TensorView* tensors, int n, int max_items,
                                      TensorView (&copies)[kMostBatched]) const noexcept {
  if (batched_rank_ == 0 || max_items != 1 || n > kMostBatched) return tensors;
  for (int i = 0; i < n; ++i) {
    copies[i] = tensors[i];
    TensorView& view = copies[i];
    if (view.rank != batched_rank_ - 1 || pack_of(layout_of(view)) > 1) continue;
    std::copy_backward(view.dims, view.dims + view.rank, view.dims + view.rank + 1);
    view.dims[0] = 1;
    ++view.rank;
  }
  return copies;
}

Status BuiltIn::plan(const TensorView* desc, int n, int max_items, mnnlite_needs& needs) noexcept {
  planned_.clear();  // a failed plan must not leave an older one usable
  if (n < min_tensors_ || n > max_tensors_ || (n > 0 && !desc)) {
    if (min_tensors_ == max_tensors_)
      return Status::error(Code::decoder, "%s takes %d output(s), got %d; name them in the decoder's \"tensors\"",
                           name_, min_tensors_, n);
    return Status::error(Code::decoder, "%s takes %d to %d outputs, got %d; name them in the decoder's \"tensors\"",
                         name_, min_tensors_, max_tensors_, n);
  }
  if (max_items < 1) return Status::error(Code::argument, "%s: max_items must be at least 1, got %d", name_, max_items);
  mnnlite_needs clean{};
  clean.frame_width = needs.frame_width;
  clean.frame_height = needs.frame_height;
  for (int i = 0; i < n; ++i) MNNLITE_TRY(check_tensor(name_, desc[i]));
  try {
    Needs wanted(clean, max_items);
    TensorView copies[kMostBatched];
    MNNLITE_TRY(prepare(with_batch(desc, n, max_items, copies), n, wanted));
    if (names_ > 0 && wanted.classes() > 0 && wanted.classes() != names_)
      return Status::error(
          Code::decoder,
          "%s: output \"%s\" has %d classes, but %d names of classes are given; wanted one for each, in "
          "the network's order (or another version, or none)",
          name_, desc[0].name, static_cast<int>(wanted.classes()), static_cast<int>(names_));
    if (wanted.too_large())
      return Status::error(Code::decoder, "%s: outputs of this shape would need more than 2 GiB to decode", name_);
    planned_.assign(desc, desc + n);
  } catch (const std::bad_alloc&) {
    return Status::error(Code::out_of_memory, "%s: no memory to needs", name_);
  }
  max_items_ = max_items;
  needs = needs_ = clean;
  return {};
}

Status BuiltIn::not_probability(const TensorView& tensor, float score, const char* likely) const noexcept {
  return Status::error(Code::decoder,
                       "%s: output \"%s\" gives a score of %g, and a probability is at most 1; likely %s", name_,
                       tensor.name, static_cast<double>(score), likely);
}

Status BuiltIn::decode(const TensorView* tensors, int n, const mnnlite_item* items, int n_items, mnnlite_sink& sink,
                       void* scratch) const noexcept {
  if (planned_.empty() ? (min_tensors_ > 0 || max_items_ == 0) : false)
    return Status::error(Code::decoder, "%s: decode before a successful needs", name_);
  if (n != static_cast<int>(planned_.size()))
    return Status::error(Code::decoder, "%s was planned for %zu outputs, got %d", name_, planned_.size(), n);
  for (int i = 0; i < n; ++i) {
    if (!same(tensors[i], planned_[static_cast<size_t>(i)])) {
      char got[96], wanted[96];
      return Status::error(Code::decoder, "%s: output \"%s\" is %s but was planned as %s; needs again", name_,
                           tensors[i].name ? tensors[i].name : "?", describe(tensors[i], got),
                           describe(planned_[static_cast<size_t>(i)], wanted));
    }
    if (!tensors[i].data)
      return Status::error(Code::decoder, "%s: output \"%s\" has no data", name_,
                           tensors[i].name ? tensors[i].name : "?");
  }
  if (n_items < 0 || n_items > max_items_ || (n_items > 0 && !items))
    return Status::error(Code::decoder, "%s was planned for at most %d items, got %d", name_, max_items_, n_items);
  if (sink.row_capacity < needs_.rows || sink.value_capacity < needs_.values || sink.char_capacity < needs_.chars ||
      sink.pixel_capacity < needs_.pixels || (needs_.scratch > 0 && !scratch))
    return Status::error(Code::decoder, "%s: result pools or scratch are smaller than planned", name_);
  for (int i = 0; i < n_items; ++i) {
    const mnnlite_item& item = items[i];
    bool finite = true;
    for (double entry : item.to_frame) finite = finite && std::fabs(entry) < 1e15;  // false for NaN too
    if (!finite || item.frame_width < 1 || item.frame_height < 1 || item.net_width < 0 || item.net_height < 0)
      return Status::error(Code::decoder, "%s: item %d has no usable frame (%dx%d) or mapping", name_, i,
                           static_cast<int>(item.frame_width), static_cast<int>(item.frame_height));
    if (needs_.depends_on_frame && (item.frame_width > needs_.frame_width || item.frame_height > needs_.frame_height))
      return Status::error(Code::decoder, "%s was planned for frames of up to %dx%d pixels, got %dx%d; needs again",
                           name_, static_cast<int>(needs_.frame_width), static_cast<int>(needs_.frame_height),
                           static_cast<int>(item.frame_width), static_cast<int>(item.frame_height));
  }
  TensorView copies[kMostBatched];
  const Call call{with_batch(tensors, n, max_items_, copies), n, items, n_items, sink, static_cast<char*>(scratch)};
  for (int slot = 0; slot < n_items; ++slot) MNNLITE_TRY(run_slot(call, slot));
  return {};
}

}  // namespace mnnlite
