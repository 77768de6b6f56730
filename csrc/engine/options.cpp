#include "engine/options.hpp"

#include <cstring>
#include <type_traits>

namespace mnnlite {
namespace {

struct Word {
  const char* word;
  int32_t value;
};

constexpr Word word(const char* text, BackendKind value) { return {text, static_cast<int32_t>(value)}; }
constexpr Word word(const char* text, Level value) { return {text, static_cast<int32_t>(value)}; }
constexpr Word word(const char* text, Winograd value) { return {text, static_cast<int32_t>(value)}; }
constexpr Word word(const char* text, Weights value) { return {text, static_cast<int32_t>(value)}; }
constexpr Word word(const char* text, Tuning value) { return {text, static_cast<int32_t>(value)}; }
constexpr Word word(const char* text, GpuMemory value) { return {text, static_cast<int32_t>(value)}; }

constexpr Word kBackends[] = {word("cpu", BackendKind::cpu), word("opencl", BackendKind::opencl),
                              word("opengl", BackendKind::opengl), word("vulkan", BackendKind::vulkan)};
constexpr Word kLevels[] = {word("normal", Level::normal), word("high", Level::high), word("low", Level::low)};
constexpr Word kTiles[] = {word("large", Winograd::large), word("small", Winograd::small),
                           word("none", Winograd::none)};
constexpr Word kWeights[] = {word("heap", Weights::heap), word("mapped", Weights::mapped)};
constexpr Word kTunings[] = {word("none", Tuning::none), word("fast", Tuning::fast), word("wide", Tuning::wide),
                             word("heavy", Tuning::heavy)};
constexpr Word kGpuMemories[] = {word("auto", GpuMemory::automatic), word("buffer", GpuMemory::buffer),
                                 word("image", GpuMemory::image)};

struct Option {
  const char* name;
  const Word* words;
  size_t count;
  int32_t (*get)(const ArenaOptions&);
  void (*set)(ArenaOptions&, int32_t);
};

template <auto member, size_t n>
constexpr Option option(const char* name, const Word (&words)[n]) {
  return {name, words, n, [](const ArenaOptions& options) { return static_cast<int32_t>(options.*member); },
          [](ArenaOptions& options, int32_t value) {
            using Field = std::remove_reference_t<decltype(options.*member)>;
            options.*member = static_cast<Field>(value);
          }};
}

constexpr Option kOptions[] = {
    option<&ArenaOptions::backend>("backend", kBackends),
    option<&ArenaOptions::precision>("precision", kLevels),
    option<&ArenaOptions::memory>("memory_mode", kLevels),
    option<&ArenaOptions::power>("power", kLevels),
    option<&ArenaOptions::winograd>("winograd", kTiles),
    option<&ArenaOptions::weights>("weights", kWeights),
    option<&ArenaOptions::tuning>("tuning", kTunings),
    option<&ArenaOptions::gpu_memory>("gpu_memory", kGpuMemories),
};

const Option* find(const char* name) {
  for (const Option& each : kOptions)
    if (std::strcmp(each.name, name) == 0) return &each;
  return nullptr;
}

Status unknown_option(const char* name) {
  std::string known;
  for (const Option& each : kOptions) known += (known.empty() ? "" : ", ") + std::string(each.name);
  return Status::error(Code::argument, "unknown option '%.40s'; known are %.160s", name, known.c_str());
}

}  // namespace

std::vector<const char*> option_names() {
  std::vector<const char*> names;
  for (const Option& each : kOptions) names.push_back(each.name);
  return names;
}

Status option_words(const char* name, std::vector<const char*>& words) {
  const Option* const found = find(name);
  if (!found) return unknown_option(name);
  words.clear();
  for (size_t i = 0; i < found->count; ++i) words.push_back(found->words[i].word);
  return {};
}

Status set_option(ArenaOptions& options, const char* name, const char* word) {
  const Option* const found = find(name);
  if (!found) return unknown_option(name);
  std::string known;
  for (size_t i = 0; i < found->count; ++i) {
    if (std::strcmp(found->words[i].word, word) == 0) {
      found->set(options, found->words[i].value);
      return {};
    }
    known += (known.empty() ? "'" : ", '") + std::string(found->words[i].word) + "'";
  }
  return Status::error(Code::argument, "%s is '%.40s'; it must be one of %.120s", found->name, word, known.c_str());
}

const char* word_of(const ArenaOptions& options, const char* name) {
  const Option* const found = find(name);
  if (!found) return nullptr;
  for (size_t i = 0; i < found->count; ++i)
    if (found->words[i].value == found->get(options)) return found->words[i].word;
  return nullptr;
}

Status check_options(const ArenaOptions& options) {
  const char* const backend = word_of(options, "backend");
  const ArenaOptions usual;
  const auto is_usual = [&](const char* name) {
    return std::strcmp(word_of(options, name), word_of(usual, name)) == 0;
  };
  if (!is_gpu(options.backend)) {
    for (const char* name : {"tuning", "gpu_memory"})
      if (!is_usual(name))
        return Status::error(Code::argument, "%s is '%s', which is for GPUs, but backend is 'cpu'; leave it away", name,
                             word_of(options, name));
    return {};
  }
  if (options.threads != 1)
    return Status::error(Code::argument,
                         "threads is %d, but backend '%s' has none; leave it away (tuning= says how long kernels are "
                         "tuned)",
                         options.threads, backend);
  for (const char* name : {"winograd", "weights"})
    if (!is_usual(name))
      return Status::error(Code::argument, "%s is '%s', which does nothing on backend '%s'; leave it away", name,
                           word_of(options, name), backend);
  if (options.backend != BackendKind::vulkan) return {};
  if (!is_usual("gpu_memory"))
    return Status::error(Code::argument,
                         "gpu_memory is '%s', which is for backend 'opencl'; Vulkan's was chosen when the engine was "
                         "built, leave it away",
                         word_of(options, "gpu_memory"));
  if (options.tuning == Tuning::fast)
    return Status::error(Code::argument,
                         "tuning is 'fast', which backend 'vulkan' has not; it has 'none', 'wide', 'heavy'");
  return {};
}

int32_t gpu_mode(const ArenaOptions& options) noexcept {
  return kGpuTuning[static_cast<int32_t>(options.tuning)] | kGpuMemory[static_cast<int32_t>(options.gpu_memory)];
}

const char* backend_word(int32_t forward_type) noexcept {
  switch (forward_type) {
    case 0:
    case 13: return "cpu";  // 13: with faster instructions
    case 3: return "opencl";
    case 6: return "opengl";
    case 7: return "vulkan";
    default: return "other";
  }
}

}  // namespace mnnlite
