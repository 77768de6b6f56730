// mnnlite._core: the decode room.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "core/memory.hpp"
#include "decode/nms.hpp"
#include "decode/reader.hpp"
#include "decode/registry.hpp"
#include "decode/sink.hpp"
#include "python/decoders.hpp"
#include "python/errors.hpp"
#include "python/results.hpp"

namespace mnnlite::python {
namespace {

// Options in the C form, with the memory they point to. A deque does not move what it holds.
struct OptionList {
  std::vector<mnnlite_option> options;
  std::deque<std::string> texts;
  std::deque<std::vector<double>> lists;

  explicit OptionList(const py::dict& dict) {
    for (const auto& [key, value] : dict)
      if (!value.is_none()) add(py::cast<std::string>(key), value);
  }

  void add(const std::string& key, const py::handle& value) {
    mnnlite_option option{};
    option.key = texts.emplace_back(key).c_str();
    if (py::isinstance<py::str>(value)) {
      option.kind = MNNLITE_STRING;
      option.text = texts.emplace_back(py::cast<std::string>(value)).c_str();
    } else if (PyNumber_Check(value.ptr()) && !py::isinstance<py::sequence>(value)) {
      option.kind = MNNLITE_NUMBER;
      option.number = py::cast<double>(py::float_(py::reinterpret_borrow<py::object>(value)));
    } else {
      const py::sequence sequence = py::reinterpret_borrow<py::sequence>(value);
      if (sequence.size() > 0 && py::isinstance<py::str>(sequence[0])) {
        std::string joined;
        for (size_t i = 0; i < sequence.size(); ++i) {
          if (i) joined += '\n';
          joined += py::cast<std::string>(sequence[i]);
        }
        option.kind = MNNLITE_STRING;
        option.text = texts.emplace_back(std::move(joined)).c_str();
      } else {
        std::vector<double>& numbers = lists.emplace_back(py::cast<std::vector<double>>(sequence));
        option.kind = MNNLITE_NUMBERS;
        option.count = static_cast<int32_t>(numbers.size());
        option.numbers = numbers.data();
      }
    }
    options.push_back(option);
  }
};

int32_t dtype_code(const py::array& array, const std::string& name) {
  const py::dtype dtype = array.dtype();
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  if (dtype.byteorder() != '>') {
    if (kind == 'f' && size == 4) return MNNLITE_F32;
    if (kind == 'f' && size == 2) return MNNLITE_F16;
    if (kind == 'i' && size == 4) return MNNLITE_I32;
    if (kind == 'i' && size == 1) return MNNLITE_I8;
    if ((kind == 'u' || kind == 'b') && size == 1) return MNNLITE_U8;
  }
  raise(Status::error(Code::dtype, "output \"%s\" has dtype %s; float32, float16, int32, int8 and uint8 can be decoded",
                      name.c_str(), py::cast<std::string>(py::str(static_cast<const py::object&>(dtype))).c_str()),
        "decode");
}

// Outputs as mnnlite.decoders passes them: (name, array, layout, dims or None, scale, zero_point).
struct TensorList {
  std::vector<TensorView> views;
  std::deque<std::string> names;

  explicit TensorList(const py::sequence& outputs) {
    for (const py::handle& entry : outputs) {
      const py::tuple fields = py::cast<py::tuple>(entry);
      const std::string& name = names.emplace_back(py::cast<std::string>(fields[0]));
      const py::array array = py::cast<py::array>(fields[1]);
      TensorView view{};
      view.name = name.c_str();
      view.dtype = dtype_code(array, name);
      view.layout = py::cast<int32_t>(fields[2]);
      view.scale = py::cast<float>(fields[4]);
      view.zero_point = py::cast<int32_t>(fields[5]);
      if (!(array.flags() & py::array::c_style))
        raise(Status::error(Code::layout, "output \"%s\" is not C-contiguous; pass numpy.ascontiguousarray of it", name.c_str()),
              "decode");
      std::vector<int64_t> dims(array.shape(), array.shape() + array.ndim());
      if (!fields[3].is_none()) dims = py::cast<std::vector<int64_t>>(fields[3]);
      if (dims.size() > MNNLITE_MAX_RANK)
        raise(Status::error(Code::layout, "output \"%s\" has %zu axes, at most %d can be decoded", name.c_str(), dims.size(),
                            MNNLITE_MAX_RANK),
              "decode");
      view.rank = static_cast<int32_t>(dims.size());
      for (size_t axis = 0; axis < dims.size(); ++axis) {
        if (dims[axis] < 0 || dims[axis] > INT32_MAX)
          raise(Status::error(Code::layout, "output \"%s\" has %lld elements on axis %zu", name.c_str(),
                              static_cast<long long>(dims[axis]), axis),
                "decode");
        view.dims[axis] = static_cast<int32_t>(dims[axis]);
      }
      if (stored_bytes(view) != static_cast<size_t>(array.nbytes()))
        raise(Status::error(Code::layout, "output \"%s\" has %lld bytes, its dims want %zu", name.c_str(),
                            static_cast<long long>(array.nbytes()), stored_bytes(view)),
              "decode");
      view.data = const_cast<void*>(array.data());  // decoders only read
      views.push_back(view);
    }
  }
};

// (to_frame as 9 numbers, net width, net height, frame width, frame height, item)
std::vector<mnnlite_item> items_from(const py::sequence& sequence) {
  std::vector<mnnlite_item> items;
  for (const py::handle& entry : sequence) {
    const py::tuple fields = py::cast<py::tuple>(entry);
    mnnlite_item item{};
    const py::sequence matrix = py::cast<py::sequence>(fields[0]);
    for (size_t i = 0; i < 9; ++i) item.to_frame[i] = py::cast<double>(matrix[i]);
    item.net_width = py::cast<int32_t>(fields[1]);
    item.net_height = py::cast<int32_t>(fields[2]);
    item.frame_width = py::cast<int32_t>(fields[3]);
    item.frame_height = py::cast<int32_t>(fields[4]);
    item.item = py::cast<int32_t>(fields[5]);
    items.push_back(item);
  }
  return items;
}

// One decoder with its memory, for arrays that come from elsewhere than a task.
class ArrayDecoder {
 public:
  ArrayDecoder(const py::object& family, const py::dict& options)
      : owned_(make_decoder_from_python(family, options)), buffer_(std::make_shared<SinkBuffer>()) {}

  py::tuple decode(const py::sequence& outputs, const py::sequence& slots, bool borrow) {
    if (busy_.exchange(true)) raise(Status::error(Code::busy, "%s is decoding in another thread", name()), "decode");
    struct Release {
      std::atomic<bool>& busy;
      ~Release() { busy = false; }
    } release{busy_};
    const TensorList tensors(outputs);
    const std::vector<mnnlite_item> items = items_from(slots);
    if (is_borrowed(buffer_)) buffer_ = std::make_shared<SinkBuffer>();  // what was lent out stays as it is
    Status status;
    {
      // `tensors` and `items` are plain copies, and the caller's references keep the arrays' memory.
      py::gil_scoped_release no_python;
      status = run(tensors.views, items);
    }
    check(status, "decode");
    return results_to_python(buffer_, borrow);
  }

  // Nanoseconds of each of `runs` native calls: what a decoder costs inside a task, without Python around it.
  std::vector<int64_t> time(const py::sequence& outputs, const py::sequence& slots, int runs) {
    decode(outputs, slots, false);
    const TensorList tensors(outputs);
    const std::vector<mnnlite_item> items = items_from(slots);
    std::vector<int64_t> times(static_cast<size_t>(std::max(runs, 0)));
    py::gil_scoped_release no_python;
    for (int64_t& each : times) {
      buffer_->reset();
      const auto start = std::chrono::steady_clock::now();
      const Status status = owned_.decoder->decode(tensors.views.data(), static_cast<int>(tensors.views.size()), items.data(),
                                                   static_cast<int>(items.size()), buffer_->sink(), scratch_.data());
      each = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
      if (!status.ok()) each = -1;
    }
    return times;
  }

  const char* name() const { return owned_.decoder->name(); }

  py::dict needs() const {
    py::dict result;
    result["kind"] = needs_.kind;
    result["rows"] = needs_.rows;
    result["values"] = needs_.values;
    result["chars"] = needs_.chars;
    result["pixels"] = needs_.pixels;
    result["scratch"] = needs_.scratch;
    return result;
  }

 private:
  Status run(const std::vector<TensorView>& tensors, const std::vector<mnnlite_item>& items) noexcept {
    const int n = static_cast<int>(tensors.size()), n_items = static_cast<int>(items.size());
    mnnlite_needs needs{};
    for (const mnnlite_item& item : items) {
      needs.frame_width = std::max(needs.frame_width, item.frame_width);
      needs.frame_height = std::max(needs.frame_height, item.frame_height);
    }
    if (!planned(tensors, n_items, needs)) {
      planned_.clear();
      MNNLITE_TRY(owned_.decoder->plan(tensors.data(), n, std::max(n_items, 1), needs));
      if (!scratch_.reserve(needs.scratch))
        return Status::error(Code::out_of_memory, "no memory for %zu bytes of scratch", needs.scratch);
      needs_ = needs;
      max_items_ = std::max(n_items, 1);
      planned_ = tensors;
    }
    MNNLITE_TRY(buffer_->reserve(needs_));
    return owned_.decoder->decode(tensors.data(), n, items.data(), n_items, buffer_->sink(), scratch_.data());
  }

  bool planned(const std::vector<TensorView>& tensors, int n_items, const mnnlite_needs& frame) const noexcept {
    const auto same = [](const TensorView& a, const TensorView& b) {
      return a.dtype == b.dtype && a.layout == b.layout && a.scale == b.scale && a.zero_point == b.zero_point &&
             a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
    };
    return !planned_.empty() && n_items <= max_items_ && planned_.size() == tensors.size() &&
           std::equal(tensors.begin(), tensors.end(), planned_.begin(), same) &&
           (!needs_.depends_on_frame || (frame.frame_width <= needs_.frame_width && frame.frame_height <= needs_.frame_height));
  }

  OwnedDecoder owned_;
  std::shared_ptr<SinkBuffer> buffer_;
  Block scratch_;
  std::vector<TensorView> planned_;
  int max_items_ = 0;
  mnnlite_needs needs_{};
  std::atomic<bool> busy_{false};
};

// Indices of the survivors, best first.
py::array_t<int64_t> suppress(const py::array_t<float, py::array::c_style>& boxes, const py::array_t<float, py::array::c_style>& scores,
                              const py::array_t<int32_t, py::array::c_style>& class_ids, float iou, bool agnostic, int32_t top_k) {
  const py::ssize_t count = scores.size();
  if (boxes.size() != 4 * count || class_ids.size() != count || count > INT32_MAX)
    raise(Status::error(Code::argument, "wanted (N, 4) boxes, (N,) scores and (N,) class ids, got %zd, %zd and %zd numbers",
                        static_cast<ssize_t>(boxes.size()), static_cast<ssize_t>(count), static_cast<ssize_t>(class_ids.size())),
          "nms");
  if (!all_finite(boxes.data(), boxes.size()) || !all_finite(scores.data(), count))
    raise(Status::error(Code::argument, "boxes and scores must be finite"), "nms");
  std::vector<Candidate> candidates(static_cast<size_t>(count));
  for (py::ssize_t i = 0; i < count; ++i) {
    Candidate& candidate = candidates[static_cast<size_t>(i)];
    candidate.score = scores.data()[i];
    candidate.class_id = class_ids.data()[i];
    candidate.index = static_cast<int32_t>(i);
    std::copy(boxes.data() + 4 * i, boxes.data() + 4 * i + 4, candidate.box);
  }
  NmsOptions options;
  options.iou = iou;
  options.agnostic = agnostic;
  options.top_k = top_k;
  const int32_t kept = nms(candidates.data(), static_cast<int32_t>(count), options);
  py::array_t<int64_t> indices(kept);
  for (int32_t i = 0; i < kept; ++i) indices.mutable_data()[i] = candidates[static_cast<size_t>(i)].index;
  return indices;
}

}  // namespace

OwnedDecoder make_decoder_from_python(const py::object& family, const py::dict& options) {
  const OptionList list(options);
  const int count = static_cast<int>(list.options.size());
  OwnedDecoder made;
  if (py::isinstance<py::str>(family)) {
    check(make_decoder(py::cast<std::string>(family).c_str(), list.options.data(), count, made.decoder), "create_decoder");
    return made;
  }
  if (!PyCapsule_IsValid(family.ptr(), MNNLITE_DECODER_CAPSULE))
    raise(Status::error(Code::decoder_abi, "a native decoder is a capsule named \"%s\", got %s", MNNLITE_DECODER_CAPSULE,
                        py::cast<std::string>(py::repr(family)).c_str()),
          "create_decoder");
  made.owner = family;
  const void* table = PyCapsule_GetPointer(family.ptr(), MNNLITE_DECODER_CAPSULE);
  check(adopt_decoder(static_cast<const mnnlite_decoder_v1*>(table), list.options.data(), count, made.decoder), "create_decoder");
  return made;
}

void bind_decode(py::module_& module) {
  module.def("decoder_families", [] {
    py::list names;
    for (const char* name : decoder_families()) names.append(name);
    return names;
  });
  module.attr("DECODER_CAPSULE") = MNNLITE_DECODER_CAPSULE;
  module.attr("ROW_SIZE") = sizeof(mnnlite_row);
  module.def("nms", &suppress, py::arg("boxes"), py::arg("scores"), py::arg("class_ids"), py::arg("iou"), py::arg("agnostic"),
             py::arg("top_k"));
  py::class_<ArrayDecoder>(module, "ArrayDecoder")
      .def(py::init<py::object, py::dict>(), py::arg("family"), py::arg("options"))
      .def("decode", &ArrayDecoder::decode, py::arg("outputs"), py::arg("items"), py::arg("borrow") = false)
      .def("time", &ArrayDecoder::time, py::arg("outputs"), py::arg("items"), py::arg("runs"))
      .def_property_readonly("name", &ArrayDecoder::name)
      .def_property_readonly("needs", &ArrayDecoder::needs);
}

}  // namespace mnnlite::python
