// mnnlite._core: the engine room.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>

#include "arrays.hpp"
#include "constructor.hpp"
#include "core/heap.hpp"
#include "engine/arena.hpp"
#include "engine/driver.hpp"
#include "engine/fork.hpp"
#include "engine/library.hpp"
#include "engine/log_capture.hpp"
#include "engine/mnn_session.hpp"
#include "engine/suggest.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "model.hpp"
#include "model_files.hpp"

namespace mnnlite::python {
namespace {

// What the engine printed goes to the logger "mnnlite.engine", a line at a time. Needs the GIL. A process that has not
// imported logging has nobody who listens, and is spared the import.
void forward_log(const LogCapture& log) {
  if (*log.text() == 0) return;
  const py::dict modules = py::module_::import("sys").attr("modules");
  if (!modules.contains("logging")) return;
  const py::object logger = modules["logging"].attr("getLogger")("mnnlite.engine");
  for (py::handle line : name_to_python(log.text()).attr("splitlines")())
    if (py::len(line) > 0) logger.attr("info")(line);
}

// Words go to the one table of them; what is no word is refused there as it is written.
std::unique_ptr<ArenaOptions> arena_options(int threads, bool fallback_to_cpu, const py::object& weights_folder,
                                            const py::kwargs& words) {
  auto options = std::make_unique<ArenaOptions>();
  options->threads = threads;
  options->fallback_to_cpu = fallback_to_cpu;
  options->weights_folder = path_from(weights_folder);
  for (const auto& [name, word] : words) {
    const std::string text = name_from(
        py::isinstance<py::str>(word) ? py::object(py::reinterpret_borrow<py::object>(word)) : py::repr(word));
    check(set_option(*options, py::cast<std::string>(name).c_str(), text.c_str()), "create_arena");
  }
  return options;
}

py::list words_of(const std::string& option) {
  std::vector<const char*> words;
  check(option_words(option.c_str(), words));
  py::list result;
  for (const char* word : words) result.append(word);
  return result;
}

// What there is of a backend's devices, and why there are none.
py::tuple devices_of(const std::string& backend) {
  ArenaOptions options;
  check(set_option(options, "backend", backend.c_str()));
  py::list found;
  std::string reason;
  if (is_gpu(options.backend)) {
    check(may_start_gpu(options.backend), "gpu_devices");
    std::vector<GpuDevice> devices;
    {
      const GilRelease release;
      devices = gpu_devices(options.backend, reason);
    }
    if (!devices.empty()) gpu_started();
    for (const GpuDevice& each : devices)
      found.append(py::make_tuple(name_to_python(each.name.c_str()), name_to_python(each.version.c_str()),
                                  name_to_python(each.driver.c_str())));
  }
  return py::make_tuple(found, name_to_python(reason.c_str()));
}

std::unique_ptr<ImageHint> image_hint(std::string input, int32_t width, int32_t height, int32_t channels, int32_t batch,
                                      const std::optional<std::string>& layout) {
  auto hint = std::make_unique<ImageHint>(ImageHint{std::move(input), width, height, channels, batch, Layout::plain});
  if (layout) {
    constexpr Layout kLayouts[] = {Layout::nchw, Layout::nhwc, Layout::nc4hw4, Layout::nc8hw8};
    const Layout* const found =
        std::find_if(std::begin(kLayouts), std::end(kLayouts), [&](Layout each) { return *layout == name_of(each); });
    if (found == std::end(kLayouts))
      raise(Status::error(Code::layout, "layout is '%.40s'; it must be one of 'NCHW', 'NHWC', 'NC4HW4', 'NC8HW8'",
                          layout->c_str()));
    hint->layout = *found == Layout::nhwc ? Layout::nhwc : Layout::nchw;  // packed layouts have the axes of NCHW
  }
  return hint;
}

py::dict hint_to_dict(const ImageHint& hint) {
  py::dict result;
  result["input"] = hint.input;
  result["width"] = hint.width;
  result["height"] = hint.height;
  result["channels"] = hint.channels;
  result["batch"] = hint.batch;
  result["layout"] = hint.layout == Layout::plain ? py::object(py::none()) : py::str(name_of(hint.layout));
  return result;
}

std::shared_ptr<Arena> make_arena(const ArenaOptions& options) {
  std::shared_ptr<Arena> arena;
  const LogCapture log;
  Status status;
  {
    const GilRelease release;
    status = Arena::make(options, arena);
  }
  forward_log(log);
  check(status, "create_arena");
  return arena;
}

std::vector<InputShape> shapes_from(const py::dict& shapes) {
  std::vector<InputShape> result;
  for (const auto& [name, dims] : shapes) result.push_back({name_from(name), py::cast<std::vector<int32_t>>(dims)});
  return result;
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

NativeModel::NativeModel(const py::object& source, const py::object& weights, std::shared_ptr<Arena> arena,
                         const std::vector<std::string>& outputs, const py::dict& shapes,
                         const std::vector<ImageHint>& images, bool resizable, const py::object& on_stage,
                         const ArenaOptions* engine, const std::string& cache_file) {
  PyModelFile* const model_file = py::isinstance<PyModelFile>(source) ? &py::cast<PyModelFile&>(source) : nullptr;
  WeightsFile weights_file;
  if (!weights.is_none()) weights_file = std::move(py::cast<PyWeightsFile&>(weights).file);
  struct Bytes : Py_buffer {
    Bytes() : Py_buffer{} {}
    ~Bytes() {
      if (obj) PyBuffer_Release(this);
    }
  } bytes;
  if (!model_file && PyObject_GetBuffer(source.ptr(), &bytes, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  SessionOptions options{outputs, shapes_from(shapes), images, resizable, engine, cache_file, {}};
  std::exception_ptr raised;  // no exception may pass through the engine room
  if (!on_stage.is_none())
    options.on_stage = [&](const char* stage) {
      const py::gil_scoped_acquire acquire;
      try {
        if (!raised) on_stage(stage);
      } catch (...) {
        raised = std::current_exception();
      }
    };
  std::unique_ptr<MnnSession> session;
  const LogCapture log;
  Status status;
  {
    // Below no Python object is touched; `bytes` stays held.
    const GilRelease release;
    Arena::destroy_deferred_idle();
    const ExclusiveGuard guard(arena->lock());
    status = guard.status();
    const int64_t begin = now_ns();
    Net net;
    if (status.ok())
      status = model_file ? Net::open(model_file->file.data(), model_file->file.size(), &model_file->file,
                                      std::move(weights_file), outputs, net)
                          : Net::open(bytes.buf, static_cast<size_t>(bytes.len), nullptr, std::move(weights_file),
                                      outputs, net);
    if (model_file) {
      model_file->file = ModelFile();  // the engine has the pages, or a copy
      times_.deserialize = model_file->read_ns;
    }
    times_.deserialize += now_ns() - begin;
    if (status.ok() && options.on_stage) options.on_stage("deserialize");
    if (status.ok()) status = MnnSession::load(std::move(net), std::move(arena), options, times_, session);
    if (!status.ok()) trim_heap();
  }
  forward_log(log);
  if (raised) std::rethrow_exception(raised);
  check(status, "load");
  session_ = std::shared_ptr<MnnSession>(session.release(), &Arena::retire);
  refresh();
}

// Names as Python strings and the objects that views keep alive, made anew with the tensors.
void NativeModel::refresh() {
  const auto guard = [this] {
    return py::capsule(new std::shared_ptr<MnnSession>(session_),
                       [](void* owner) { delete static_cast<std::shared_ptr<MnnSession>*>(owner); });
  };
  input_guard_ = guard();
  output_guard_ = guard();
  input_names_.clear();
  output_names_.clear();
  for (int i = 0; i < session_->input_count(); ++i) input_names_.push_back(name_to_python(session_->input(i).name));
  for (int i = 0; i < session_->output_count(); ++i) output_names_.push_back(name_to_python(session_->output(i).name));
}

std::shared_ptr<MnnSession> NativeModel::session() const {
  if (!session_) raise(Status::error(Code::closed, "the model is closed; load it again"));
  return session_;
}

std::shared_ptr<MnnSession> NativeModel::readable() const {
  std::shared_ptr<MnnSession> held = session();
  if (resizing_) raise(Status::error(Code::busy, "the model is being resized by another thread; wait for it"));
  return held;
}

NativeModel::Entered::Entered(const NativeModel& model, const char* op)
    : session_(model.session()), guard_(session_->lock()) {
  check(guard_.status(), op);
}

int NativeModel::find(const std::vector<py::str>& names, py::handle name, const char* kind) const {
  for (size_t i = 0; i < names.size(); ++i) {
    const int same = names[i].ptr() == name.ptr() ? 1 : PyObject_RichCompareBool(names[i].ptr(), name.ptr(), Py_EQ);
    if (same == 1) return static_cast<int>(i);
    if (same < 0) throw py::error_already_set();
  }
  std::vector<std::string> known;
  for (const py::str& each : names) known.push_back(py::cast<std::string>(each));
  raise(unknown_name(kind, name_from(name).c_str(), known));
}

py::object NativeModel::input_view(py::handle name) {
  session();  // a closed model is told before an unknown name
  const int index = find(input_names_, name, "input");
  const std::shared_ptr<MnnSession> held = readable();
  if (!held->plain_input(index).data) {
    const Entered entered(*this, "input");  // a run on another thread would read what is being made
    check(entered->stage_input(index), "input");
  }
  return view_of(held->plain_input(index), input_guard_, true);
}

bool NativeModel::input_is_direct(py::handle name) const {
  session();
  const int index = find(input_names_, name, "input");
  return readable()->input_is_direct(index);
}

py::dict NativeModel::run(const py::object& inputs, const py::object& outputs, bool borrow, const py::object& out) {
  const Entered entered(*this, "infer");
  MnnSession& current = *entered;
  // Python objects are read here, with the GIL: which outputs, and where the inputs' values lie.
  OutputMask wanted = kAllOutputs;
  if (!outputs.is_none()) {
    if (py::isinstance<py::str>(outputs))
      raise(Status::error(Code::argument, "outputs is a string; pass a list of names"));
    wanted = 0;
    for (py::handle name : outputs) wanted |= mask_of(static_cast<size_t>(find(output_names_, name, "output")));
    if (wanted == 0)
      raise(Status::error(Code::argument, "outputs is empty; name at least one output, or leave it out for all"));
  }
  constexpr size_t kInPlace = 8;
  std::array<HeldBuffer, kInPlace> in_place;
  std::array<TensorView, kInPlace> targets;
  size_t given = 0;
  if (!inputs.is_none()) {
    if (!py::isinstance<py::dict>(inputs))
      raise(Status::error(Code::argument, "inputs must be a dict of name to array"));
    PyObject *name = nullptr, *value = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(inputs.ptr(), &position, &name, &value)) {
      if (given == kInPlace)
        raise(Status::error(Code::argument, "more than %zu inputs at once; write the others through input(name)",
                            kInPlace));
      const int index = find(input_names_, name, "input");
      check(current.stage_input(index));
      targets[given] = current.plain_input(index);
      check(in_place[given].hold(value, targets[given], "input", false));
      ++given;
    }
  }
  Status status;
  int64_t spent;
  {
    // One release of the GIL: buffers are held, no Python object is touched below.
    const GilRelease release;
    const int64_t begin = now_ns();
    for (size_t i = 0; i < given; ++i) std::memmove(targets[i].data, in_place[i].data(), stored_bytes(targets[i]));
    status = current.run(wanted);
    spent = now_ns() - begin;
  }
  check(status, "infer");
  infer_ns_ = spent;

  // A mask of all stands also for outputs beyond its bits: then the names decide.
  const auto asked_for = [&](int output) {
    if (outputs.is_none()) return true;
    if (wanted != kAllOutputs) return wants(wanted, static_cast<size_t>(output));
    for (py::handle name : outputs)
      if (find(output_names_, name, "output") == output) return true;
    return false;
  };
  py::dict result;
  for (int i = 0; i < current.output_count(); ++i)
    if (asked_for(i)) hand_out(i, borrow, out, result);
  return result;
}

void NativeModel::hand_out(int output, bool borrow, const py::object& out, py::dict& result) const {
  const py::str& name = output_names_[static_cast<size_t>(output)];
  const TensorView tensor = session_->output(output);
  py::object target;
  if (!out.is_none() && out.contains(name)) {
    target = out[name];
    HeldBuffer buffer;
    check(buffer.hold(target, tensor, "out", true));
    std::memcpy(buffer.data(), tensor.data, stored_bytes(tensor));
  } else {
    target = borrow ? view_of(tensor, output_guard_, false) : copy_of(tensor);
  }
  if (PyDict_SetItem(result.ptr(), name.ptr(), target.ptr()) != 0) throw py::error_already_set();
}

py::dict NativeModel::outputs_of(const std::vector<int>& indices, bool borrow, const py::object& out) const {
  py::dict result;
  for (int index : indices) hand_out(index, borrow, out, result);
  return result;
}

void NativeModel::check_out(py::handle out) const {
  if (!PyDict_Check(out.ptr())) raise(Status::error(Code::argument, "out must be a dict of output name to array"));
  PyObject *name = nullptr, *value = nullptr;
  Py_ssize_t position = 0;
  while (PyDict_Next(out.ptr(), &position, &name, &value)) {
    HeldBuffer buffer;
    const int index = find(output_names_, name, "output");
    check(buffer.hold(value, readable()->output(index), "out", true));
  }
}

void NativeModel::resize(const py::dict& shapes) {
  const std::vector<InputShape> wanted = shapes_from(shapes);
  const Entered entered(*this, "resize");
  if (!entered->net().released() && (Py_REFCNT(input_guard_.ptr()) > 1 || Py_REFCNT(output_guard_.ptr()) > 1))
    raise(Status::error(Code::busy,
                        "the model cannot be resized while views of its tensors are alive; delete the arrays that "
                        "input() and run(borrow=True) gave"),
          "resize");
  const LogCapture log;
  Status status;
  resizing_ = true;
  {
    const GilRelease release;
    status = entered->resize(wanted);
  }
  resizing_ = false;
  forward_log(log);
  check(status, "resize");
}

void NativeModel::close() {
  if (!session_) return;
  {
    // A run under way on another thread would lose its session only when it ends (it holds a reference), but the caller
    // expects the memory back: say so instead.
    const ExclusiveGuard guard(session_->lock());
    if (!guard.status().ok() && guard.status().code == Code::busy) raise(guard.status(), "close");
  }
  input_guard_ = py::object();
  output_guard_ = py::object();
  std::shared_ptr<MnnSession> last = std::move(session_);
  session_.reset();
  const int64_t begin = now_ns();
  free(std::move(last));
  close_ns_ = now_ns() - begin;
}

// Without the GIL.
void NativeModel::free(std::shared_ptr<MnnSession> last) {
  const GilRelease release;
  last.reset();
  Arena::destroy_deferred_idle();
  trim_heap();
}

py::dict NativeModel::timing() const {
  py::dict result;
  result["deserialize"] = times_.deserialize;
  result["create_session"] = times_.create_session;
  result["release_model_buffer"] = times_.release_model_buffer;
  if (infer_ns_ >= 0) result["infer"] = infer_ns_;
  if (close_ns_ >= 0) result["close"] = close_ns_;
  return result;
}

py::dict NativeModel::memory() const {
  const std::shared_ptr<MnnSession> held = readable();
  const MnnSession& current = *held;
  const SessionNeed need = current.need();
  py::dict result;
  result["model_buffer"] = current.net().buffer_bytes();
  const auto counted = [&](size_t bytes) {
    return need.counted ? py::object(py::int_(bytes)) : py::object(py::none());
  };
  result["static"] = counted(need.static_bytes);
  result["dynamic"] = counted(need.dynamic_bytes);
  result["inputs"] = need.input_bytes;
  result["outputs"] = need.output_bytes;
  result["mapped"] = need.file_bytes;
  return result;
}

py::list NativeModel::describe(bool inputs) const {
  const std::shared_ptr<MnnSession> held = readable();
  const MnnSession& current = *held;
  py::list result;
  for (int i = 0; i < (inputs ? current.input_count() : current.output_count()); ++i) {
    const TensorView tensor = inputs ? current.plain_input(i) : current.output(i);
    py::tuple shape(tensor.rank);
    for (int axis = 0; axis < tensor.rank; ++axis) shape[axis] = tensor.dims[axis];
    result.append(py::make_tuple((inputs ? input_names_ : output_names_)[static_cast<size_t>(i)], shape,
                                 name_of(dtype_of(tensor)), name_of(layout_of(tensor))));
  }
  return result;
}

py::dict NativeModel::facts() const {
  const std::shared_ptr<MnnSession> held = readable();
  const MnnSession& current = *held;
  py::dict result;
  result["mflops"] = current.mflops();
  result["backend"] = current.backend();
  result["computes_in_half"] = current.computes_in_half();
  result["file_bytes"] = current.net().file_bytes();
  result["converter_version"] = name_to_python(current.net().version());
  return result;
}

py::list NativeModel::operators() const {
  const Entered entered(*this, "inspect");
  std::vector<MnnSession::Operator> operators;
  Status status;
  {
    const GilRelease release;
    status = entered->operators(operators);
  }
  check(status, "inspect");
  py::list result;
  for (const MnnSession::Operator& each : operators)
    result.append(py::make_tuple(name_to_python(each.name), name_to_python(each.type), each.mflops));
  return result;
}

void bind_engine(py::module_& module) {
  module.def("engine_version", &engine_version);
  module.def("string_abi", &string_abi);
  module.def("engine_path", &engine_path);
  module.def(
      "check_weights_folder",
      [](const py::object& folder) { check(check_weights_folder(path_from(folder).c_str()), "create_arena"); },
      py::arg("folder"));
  module.def("gpu_devices", &devices_of, py::arg("backend"));
  module.def("check_engine", [] {
    redirect_engine_log(engine_path());
    const LogCapture log;
    const Status status = check_engine();
    forward_log(log);
    check(status, "import");
  });

  py::class_<ArenaOptions>(module, "ArenaOptions", py::is_final())
      .def("__init__", constructor(&arena_options), IsConstructor(), py::kw_only(), py::arg("threads") = 1,
           py::arg("fallback_to_cpu") = false, py::arg("weights_folder") = "")
      .def("check", [](const ArenaOptions& options) { check(check_options(options), "create_arena"); })
      .def_static("names", &option_names)
      .def_static("words", &words_of, py::arg("option"));

  py::class_<ImageHint>(module, "ImageHint", py::is_final())
      .def("__init__", constructor(&image_hint), IsConstructor(), py::arg("input") = "", py::arg("width") = 0,
           py::arg("height") = 0, py::arg("channels") = 0, py::arg("batch") = 1, py::arg("layout") = py::none())
      .def("to_dict", &hint_to_dict);

  py::class_<Arena, std::shared_ptr<Arena>>(module, "Arena")
      .def("__init__", constructor(&make_arena), IsConstructor(), py::arg("options"))
      .def_property_readonly("backend", [](const Arena& arena) { return word_of(arena.options(), "backend"); })
      .def_property_readonly("has_half", &Arena::has_half)
      .def_property_readonly("fell_back", [](const Arena& arena) { return name_to_python(arena.fell_back().c_str()); })
      .def_property_readonly("static_bytes", &Arena::static_bytes)
      .def("adopt", &Arena::adopt)
      .def("shrink", [](Arena& arena) {
        Status status;
        {
          const GilRelease release;
          const ExclusiveGuard guard(arena.lock());
          status = guard.status();
          if (status.ok()) {
            arena.destroy_deferred();
            arena.shrink();
          }
        }
        check(status, "shrink");
      });

  py::class_<NativeModel>(module, "Model")
      .def(
          "__init__",
          constructor(&make_unique_from<NativeModel, const py::object&, const py::object&, std::shared_ptr<Arena>,
                                        const std::vector<std::string>&, const py::dict&, const std::vector<ImageHint>&,
                                        bool, const py::object&, const ArenaOptions*, const std::string&>),
          IsConstructor(), py::arg("source"), py::arg("weights"), py::arg("arena"), py::arg("outputs"),
          py::arg("shapes"), py::arg("images"), py::arg("resizable"), py::arg("on_stage") = py::none(),
          py::arg("engine") = py::none(), py::arg("cache_file") = "")
      .def("inputs", [](const NativeModel& model) { return model.describe(true); })
      .def("outputs", [](const NativeModel& model) { return model.describe(false); })
      .def("input_view", &NativeModel::input_view, py::arg("name"))
      .def("input_is_direct", &NativeModel::input_is_direct, py::arg("name"))
      .def("check_out", &NativeModel::check_out, py::arg("out"))
      .def("run", &NativeModel::run, py::arg("inputs"), py::arg("outputs"), py::arg("borrow"), py::arg("out"))
      .def("resize", &NativeModel::resize, py::arg("shapes"))
      .def("close", &NativeModel::close)
      .def_property_readonly("closed", &NativeModel::closed)
      .def("timing", &NativeModel::timing)
      .def("memory", &NativeModel::memory)
      .def("weight_files", [](const NativeModel& model) { return model.readable()->weights().files(); })
      .def("facts", &NativeModel::facts)
      .def("operators", &NativeModel::operators);
}

}  // namespace mnnlite::python
