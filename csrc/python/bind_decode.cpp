// mnnlite._core: the decode room.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <new>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/memory.hpp"
#include "decode/common/nms.hpp"
#include "decode/common/reader.hpp"
#include "decode/maps/mask_polygons.hpp"
#include "decode/registry.hpp"
#include "decode/sink.hpp"
#include "python/constructor.hpp"
#include "python/decoders.hpp"
#include "python/errors.hpp"
#include "python/gil.hpp"
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
      if (!sequence.empty() && py::isinstance<py::str>(sequence[0])) {
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

int32_t dtype_code(const py::array& array, const char* name) {
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
                      name, name_from(dtype).c_str()),
        "decode");
}

// Outputs as mnnlite.decoders passes them: (name, array, layout, dims or None, scale, zero_point). Views point into the
// arrays and the names, which the caller keeps.
struct TensorList {
  std::vector<TensorView> views;

  void read(const py::sequence& outputs) {
    views.clear();
    for (const py::handle& entry : outputs) {
      const py::tuple fields = py::cast<py::tuple>(entry);
      const char* name = PyUnicode_AsUTF8(fields[0].ptr());
      if (!name) throw py::error_already_set();
      const py::array array = py::cast<py::array>(fields[1]);
      TensorView view{};
      view.name = name;
      view.dtype = dtype_code(array, name);
      view.layout = py::cast<int32_t>(fields[2]);
      view.scale = py::cast<float>(fields[4]);
      view.zero_point = py::cast<int32_t>(fields[5]);
      if (!(array.flags() & py::array::c_style))
        raise(
            Status::error(Code::layout, "output \"%s\" is not C-contiguous; pass numpy.ascontiguousarray of it", name),
            "decode");
      const bool own = fields[3].is_none();
      const size_t rank = own ? static_cast<size_t>(array.ndim()) : py::len(fields[3]);
      if (rank > MNNLITE_MAX_RANK)
        raise(Status::error(Code::layout, "output \"%s\" has %zu axes, at most %d can be decoded", name, rank,
                            MNNLITE_MAX_RANK),
              "decode");
      view.rank = static_cast<int32_t>(rank);
      for (size_t axis = 0; axis < rank; ++axis) {
        const int64_t dim =
            own ? array.shape(static_cast<py::ssize_t>(axis)) : py::cast<int64_t>(fields[3][py::int_(axis)]);
        if (dim < 0 || dim > INT32_MAX)
          raise(Status::error(Code::layout, "output \"%s\" has %lld elements on axis %zu", name,
                              static_cast<long long>(dim), axis),
                "decode");
        view.dims[axis] = static_cast<int32_t>(dim);
      }
      if (stored_bytes(view) != static_cast<size_t>(array.nbytes()))
        raise(Status::error(Code::layout, "output \"%s\" has %lld bytes, its dims want %zu", name,
                            static_cast<long long>(array.nbytes()), stored_bytes(view)),
              "decode");
      view.data = const_cast<void*>(array.data());  // decoders only read
      views.push_back(view);
    }
  }
};

// As item_to_python gives them, or mnnlite.decoders.BatchItem, which has the same fields.
void read_items(const py::sequence& sequence, std::vector<mnnlite_item>& items) {
  items.clear();
  for (const py::handle& entry : sequence) {
    const py::tuple fields = py::cast<py::tuple>(entry);
    mnnlite_item item{};
    const py::sequence matrix = py::cast<py::sequence>(fields[0]);
    for (size_t i = 0; i < 9; ++i) item.to_frame[i] = py::cast<double>(matrix[i]);
    std::tie(item.net_width, item.net_height) = py::cast<std::pair<int32_t, int32_t>>(fields[1]);
    std::tie(item.frame_width, item.frame_height) = py::cast<std::pair<int32_t, int32_t>>(fields[2]);
    item.item = py::cast<int32_t>(fields[3]);
    if (!fields[4].is_none()) {
      const auto picture = py::cast<std::array<int32_t, 4>>(fields[4]);
      std::copy(picture.begin(), picture.end(), item.picture);
    }
    items.push_back(item);
  }
}

// One decoder with its memory, for arrays that come from elsewhere than a task.
class ArrayDecoder {
 public:
  ArrayDecoder(const py::object& family, const py::dict& options)
      : owned_(make_decoder_from_python(family, options)), buffer_(std::make_shared<SinkBuffer>()) {}

  py::tuple decode(const py::sequence& outputs, const py::sequence& slots, bool borrow, ResultBuffer* out) {
    if (busy_.exchange(true)) raise(Status::error(Code::busy, "%s is decoding in another thread", name()), "decode");
    struct Release {
      std::atomic<bool>& busy;
      ~Release() { busy = false; }
    } release{busy_};
    tensors_.read(outputs);
    read_items(slots, items_);
    if (is_borrowed(buffer_)) buffer_ = std::make_shared<SinkBuffer>();  // what was lent out stays as it is
    Status status;
    {
      // Views and items are plain copies, and the caller's references keep the arrays' memory.
      const GilRelease no_python;
      status = run(out ? out->pools() : buffer_);
    }
    check(status, "decode");
    return out ? out->results() : results_to_python(buffer_, borrow);
  }

  // Nanoseconds of each of `runs` native calls: what a decoder costs inside a task, without Python around it.
  std::vector<int64_t> time(const py::sequence& outputs, const py::sequence& slots, int runs) {
    decode(outputs, slots, false, nullptr);
    std::vector<int64_t> times(static_cast<size_t>(std::max(runs, 0)));
    const GilRelease no_python;
    for (int64_t& each : times) {
      buffer_->reset();
      const auto start = std::chrono::steady_clock::now();
      const Status status =
          owned_.decoder->decode(tensors_.views.data(), static_cast<int>(tensors_.views.size()), items_.data(),
                                 static_cast<int>(items_.size()), buffer_->sink(), scratch_.data());
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
  // Pools that are too small are replaced and not grown: arrays may show them.
  Status run(std::shared_ptr<SinkBuffer>& pools) noexcept try {
    const std::vector<TensorView>& tensors = tensors_.views;
    const int n = static_cast<int>(tensors.size()), n_items = static_cast<int>(items_.size());
    mnnlite_needs needs{};
    for (const mnnlite_item& item : items_) {
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
    if (!pools->fits(needs_)) pools = std::make_shared<SinkBuffer>();
    MNNLITE_TRY(pools->reserve(needs_));
    return owned_.decoder->decode(tensors.data(), n, items_.data(), n_items, pools->sink(), scratch_.data());
  } catch (const std::bad_alloc&) {
    return Status::error(Code::out_of_memory, "no memory for results");
  }

  bool planned(const std::vector<TensorView>& tensors, int n_items, const mnnlite_needs& frame) const noexcept {
    const auto same = [](const TensorView& a, const TensorView& b) {
      return a.dtype == b.dtype && a.layout == b.layout && a.scale == b.scale && a.zero_point == b.zero_point &&
             a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
    };
    return !planned_.empty() && n_items <= max_items_ && planned_.size() == tensors.size() &&
           std::equal(tensors.begin(), tensors.end(), planned_.begin(), same) &&
           (!needs_.depends_on_frame ||
            (frame.frame_width <= needs_.frame_width && frame.frame_height <= needs_.frame_height));
  }

  OwnedDecoder owned_;
  std::shared_ptr<SinkBuffer> buffer_;
  Block scratch_;
  TensorList tensors_;  // of the call under way
  std::vector<mnnlite_item> items_;
  std::vector<TensorView> planned_;
  int max_items_ = 0;
  mnnlite_needs needs_{};
  std::atomic<bool> busy_{false};
};

// Indices of the survivors, best first.
py::array_t<int64_t> suppress(const py::array_t<float, py::array::c_style>& boxes,
                              const py::array_t<float, py::array::c_style>& scores,
                              const py::array_t<int32_t, py::array::c_style>& class_ids, float iou, bool agnostic,
                              int32_t top_k) {
  const py::ssize_t count = scores.size();
  if (boxes.size() != 4 * count || class_ids.size() != count || count > INT32_MAX)
    raise(Status::error(
              Code::argument, "wanted (N, 4) boxes, (N,) scores and (N,) class ids, got %zd, %zd and %zd numbers",
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

// Bytes of rows and float values of the outlines of instances.
py::tuple outlines(const py::array_t<uint8_t, py::array::c_style>& rows,
                   const py::array_t<uint8_t, py::array::c_style>& pixels, double tolerance) {
  if (rows.size() % static_cast<py::ssize_t>(sizeof(mnnlite_row)) != 0)
    raise(Status::error(Code::argument, "wanted rows of %zu bytes", sizeof(mnnlite_row)), "mask_polygons");
  const std::vector<mnnlite_row> copy = [&] {
    std::vector<mnnlite_row> made(static_cast<size_t>(rows.size()) / sizeof(mnnlite_row));
    if (!made.empty()) std::memcpy(made.data(), rows.data(), made.size() * sizeof(mnnlite_row));
    return made;
  }();
  MaskPolygons found;
  Status status;
  {
    py::gil_scoped_release no_python;
    status =
        mask_polygons(copy.data(), static_cast<int64_t>(copy.size()), pixels.data(), pixels.size(), tolerance, found);
  }
  check(status, "mask_polygons");
  py::array_t<uint8_t> bytes(static_cast<py::ssize_t>(found.rows.size() * sizeof(mnnlite_row)));
  if (!found.rows.empty())
    std::memcpy(bytes.mutable_data(), found.rows.data(), found.rows.size() * sizeof(mnnlite_row));
  return py::make_tuple(std::move(bytes),
                        py::array_t<float>(static_cast<py::ssize_t>(found.values.size()), found.values.data()));
}

// (key, kind, default, low, high, choices) of each option that a family reads.
py::list described(const std::string& family, const py::dict& options) {
  const OptionList given(options);
  std::vector<OptionAsked> asked;
  check(describe_options(family.c_str(), given.options.data(), static_cast<int>(given.options.size()), asked),
        "decoder_options");
  py::list list;
  for (const OptionAsked& each : asked) {
    const std::string kind = each.kind;
    const py::object fallback = kind == "word" || kind == "text" ? py::object(py::str(each.word))
                                : kind == "numbers"              ? py::object(py::none())
                                                                 : py::object(py::float_(each.fallback));
    list.append(py::make_tuple(each.key, kind, fallback, each.low, each.high, py::cast(each.choices)));
  }
  return list;
}

}  // namespace

OwnedDecoder make_decoder_from_python(const py::object& family, const py::dict& options) {
  const OptionList list(options);
  const int count = static_cast<int>(list.options.size());
  OwnedDecoder made;
  if (py::isinstance<py::str>(family)) {
    check(make_decoder(py::cast<std::string>(family).c_str(), list.options.data(), count, made.decoder),
          "create_decoder");
    return made;
  }
  // The number is in the capsule's name, so that a table of another version is never read.
  static constexpr char kPrefix[] = "mnnlite_decoder_v";
  const char* label = PyCapsule_CheckExact(family.ptr()) ? PyCapsule_GetName(family.ptr()) : nullptr;
  if (label && std::strncmp(label, kPrefix, sizeof kPrefix - 1) == 0 &&
      std::strcmp(label, MNNLITE_DECODER_CAPSULE) != 0)
    raise(Status::error(
              Code::decoder_abi,
              "a native decoder was built for version %.8s of decoder.h, this mnnlite has version %d; rebuild it "
              "against mnnlite.get_include()",
              label + sizeof kPrefix - 1, MNNLITE_DECODER_ABI),
          "create_decoder");
  if (!PyCapsule_IsValid(family.ptr(), MNNLITE_DECODER_CAPSULE))
    raise(Status::error(Code::decoder_abi, "a native decoder is a capsule named \"%s\", got %s",
                        MNNLITE_DECODER_CAPSULE, py::cast<std::string>(py::repr(family)).c_str()),
          "create_decoder");
  made.owner = family;
  const void* table = PyCapsule_GetPointer(family.ptr(), MNNLITE_DECODER_CAPSULE);
  check(adopt_decoder(static_cast<const mnnlite_decoder_v2*>(table), list.options.data(), count, made.decoder),
        "create_decoder");
  return made;
}

py::tuple item_to_python(const mnnlite_item& item) {
  py::tuple matrix(9);
  for (size_t i = 0; i < 9; ++i) matrix[i] = item.to_frame[i];
  return py::make_tuple(std::move(matrix), py::make_tuple(item.net_width, item.net_height),
                        py::make_tuple(item.frame_width, item.frame_height), item.item,
                        py::make_tuple(item.picture[0], item.picture[1], item.picture[2], item.picture[3]));
}

void bind_decode(py::module_& module) {
  module.def("decoder_families", [] {
    py::list names;
    for (const char* name : decoder_families()) names.append(name);
    return names;
  });
  module.def("decoder_options", &described, py::arg("family"), py::arg("options"));
  module.attr("DECODER_CAPSULE") = MNNLITE_DECODER_CAPSULE;
  module.attr("ROW_SIZE") = sizeof(mnnlite_row);
  module.def("nms", &suppress, py::arg("boxes"), py::arg("scores"), py::arg("class_ids"), py::arg("iou"),
             py::arg("agnostic"), py::arg("top_k"));
  module.def("mask_polygons", &outlines, py::arg("rows"), py::arg("pixels"), py::arg("tolerance"));
  py::class_<ArrayDecoder>(module, "ArrayDecoder")
      .def("__init__", constructor(&make_unique_from<ArrayDecoder, py::object, py::dict>), IsConstructor(),
           py::arg("family"), py::arg("options"))
      .def("decode", &ArrayDecoder::decode, py::arg("outputs"), py::arg("items"), py::arg("borrow") = false,
           py::arg("out") = nullptr)
      .def("time", &ArrayDecoder::time, py::arg("outputs"), py::arg("items"), py::arg("runs"))
      .def_property_readonly("name", &ArrayDecoder::name)
      .def_property_readonly("needs", &ArrayDecoder::needs);
}

}  // namespace mnnlite::python
