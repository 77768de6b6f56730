// Reads the options a decoder is made with: types, ranges and unknown keys are checked here, once.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/status.hpp"
#include "mnnlite/decoder.h"

namespace mnnlite {

// What a family says of one option when it reads it.
struct OptionAsked {
  std::string key;
  const char* kind = "";  // number, whole, flag, word, text, numbers
  double fallback = 0, low = 0, high = 0;
  std::string word;  // the default of words and texts
  std::vector<std::string> choices;
};

// Getters return the default after the first failure, so a family reads all its options and then asks `finish()`.
class Options {
 public:
  Options(const char* family, const mnnlite_option* options, int count) noexcept;
  // Also note what is asked for, once a key: the family's own description of its options.
  void record(std::vector<OptionAsked>* asked) noexcept { asked_ = asked; }

  const char* family() const noexcept { return family_; }
  bool has(const char* key) noexcept { return find(key) != nullptr; }
  // In [low, high]; NaN and infinities are refused.
  double number(const char* key, double fallback, double low, double high) noexcept;
  float probability(const char* key, float fallback) noexcept {
    return static_cast<float>(number(key, fallback, 0, 1));
  }
  int32_t integer(const char* key, int32_t fallback, int32_t low,
                  int32_t high = std::numeric_limits<int32_t>::max()) noexcept;
  bool flag(const char* key, bool fallback) noexcept;
  // The text lives as long as the options do.
  const char* text(const char* key, const char* fallback) noexcept;
  // Index of the text among `choices`, which ends with a null pointer.
  int choice(const char* key, const char* const* choices, int fallback) noexcept;
  // Finite numbers; empty if not given. Allocates.
  std::vector<double> numbers(const char* key);

  // The first thing that was wrong, or an option that no getter asked for.
  Status finish() noexcept;
  void fail(const Status& status) noexcept {
    if (status_.ok()) status_ = status;
  }

 private:
  void note(const char* key, const char* kind, double fallback, double low, double high);
  double ranged(const char* key, double fallback, double low, double high) noexcept;
  const mnnlite_option* find(const char* key) noexcept;
  const mnnlite_option* find(const char* key, int32_t kind, const char* wanted) noexcept;

  const char* family_;
  const mnnlite_option* options_;
  int count_;
  uint64_t used_ = 0;  // bit per option: a decoder has far fewer than 64
  Status status_;
  std::vector<OptionAsked>* asked_ = nullptr;
};

}  // namespace mnnlite
