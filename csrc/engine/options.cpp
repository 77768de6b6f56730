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

constexpr Word kBackends[] = {word("cpu", BackendKind::cpu), word("opencl", BackendKind::opencl),
                              word("opengl", BackendKind::opengl), word("vulkan", BackendKind::vulkan)};
constexpr Word kLevels[] = {word("normal", Level::normal), word("high", Level::high), word("low", Level::low)};
constexpr Word kTiles[] = {word("large", Winograd::large), word("small", Winograd::small),
                           word("none", Winograd::none)};
constexpr Word kWeights[] = {word("heap", Weights::heap), word("mapped", Weights::mapped)};

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
    option<&ArenaOptions::backend>("backend", kBackends),  option<&ArenaOptions::precision>("precision", kLevels),
    option<&ArenaOptions::memory>("memory_mode", kLevels), option<&ArenaOptions::power>("power", kLevels),
    option<&ArenaOptions::winograd>("winograd", kTiles),   option<&ArenaOptions::weights>("weights", kWeights),
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

}  // namespace mnnlite
