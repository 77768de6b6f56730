#include "decode/common/options.hpp"

#include <cmath>
#include <cstring>

namespace mnnlite {

Options::Options(const char* family, const mnnlite_option* options, int count) noexcept
    : family_(family), options_(options), count_(count) {
  if (count < 0 || count > 64 || (count > 0 && !options)) {
    count_ = 0;
    fail(Status::error(Code::argument, "%s: 0 to 64 options are possible, got %d", family, count));
  }
}

const mnnlite_option* Options::find(const char* key) noexcept {
  for (int i = 0; i < count_; ++i)
    if (options_[i].key && std::strcmp(options_[i].key, key) == 0) {
      used_ |= uint64_t{1} << i;
      return &options_[i];
    }
  return nullptr;
}

const mnnlite_option* Options::find(const char* key, int32_t kind, const char* wanted) noexcept {
  const mnnlite_option* option = find(key);
  if (option && option->kind != kind) {
    const char* got = option->kind == MNNLITE_NUMBER   ? "a number"
                      : option->kind == MNNLITE_STRING ? "a text"
                                                       : "a list";
    fail(Status::error(Code::argument, "%s: option \"%s\" must be %s, got %s", family_, key, wanted, got));
    return nullptr;
  }
  return option;
}

void Options::note(const char* key, const char* kind, double fallback, double low, double high) {
  if (!asked_) return;
  for (const OptionAsked& each : *asked_)
    if (each.key == key) return;
  OptionAsked& made = asked_->emplace_back();
  made.key = key, made.kind = kind, made.fallback = fallback, made.low = low, made.high = high;
}

double Options::number(const char* key, double fallback, double low, double high) noexcept {
  note(key, "number", fallback, low, high);
  return ranged(key, fallback, low, high);
}

bool Options::flag(const char* key, bool fallback) noexcept {
  note(key, "flag", fallback ? 1 : 0, 0, 1);
  return integer(key, fallback ? 1 : 0, 0, 1) != 0;
}

double Options::ranged(const char* key, double fallback, double low, double high) noexcept {
  const mnnlite_option* option = find(key, MNNLITE_NUMBER, "a number");
  if (!option) return fallback;
  if (!(option->number >= low && option->number <= high) || !std::isfinite(option->number)) {
    fail(Status::error(Code::argument, "%s: option \"%s\" must be in [%g, %g], got %g", family_, key, low, high,
                       option->number));
    return fallback;
  }
  return option->number;
}

int32_t Options::integer(const char* key, int32_t fallback, int32_t low, int32_t high) noexcept {
  note(key, "whole", fallback, low, high);
  const double value = ranged(key, fallback, low, high);
  if (value != std::floor(value)) {
    fail(Status::error(Code::argument, "%s: option \"%s\" must be a whole number, got %g", family_, key, value));
    return fallback;
  }
  return static_cast<int32_t>(value);
}

const char* Options::text(const char* key, const char* fallback) noexcept {
  note(key, "text", 0, 0, 0);
  if (asked_ && fallback) asked_->back().word = fallback;
  const mnnlite_option* option = find(key, MNNLITE_STRING, "a text");
  return option && option->text ? option->text : fallback;
}

int Options::choice(const char* key, const char* const* choices, int fallback) noexcept {
  note(key, "word", 0, 0, 0);
  if (asked_ && asked_->back().key == key && asked_->back().choices.empty()) {
    asked_->back().word = choices[fallback];
    for (int i = 0; choices[i]; ++i) asked_->back().choices.emplace_back(choices[i]);
  }
  const char* got = text(key, nullptr);
  if (!got) return fallback;
  char list[160] = "";
  size_t length = 0;
  for (int i = 0; choices[i]; ++i) {
    if (std::strcmp(choices[i], got) == 0) return i;
    const int written = std::snprintf(list + length, sizeof list - length, "%s\"%s\"", i ? ", " : "", choices[i]);
    if (written > 0 && length + static_cast<size_t>(written) < sizeof list) length += static_cast<size_t>(written);
  }
  fail(Status::error(Code::argument, "%s: option \"%s\" must be one of %s, got \"%s\"", family_, key, list, got));
  return fallback;
}

std::vector<double> Options::numbers(const char* key) {
  note(key, "numbers", 0, 0, 0);
  const mnnlite_option* option = find(key, MNNLITE_NUMBERS, "a list of numbers");
  if (!option || option->count <= 0 || !option->numbers) return {};
  for (int i = 0; i < option->count; ++i)
    if (!std::isfinite(option->numbers[i])) {
      fail(Status::error(Code::argument, "%s: option \"%s\" must hold finite numbers, got %g at index %d", family_, key,
                         option->numbers[i], i));
      return {};
    }
  return std::vector<double>(option->numbers, option->numbers + option->count);
}

Status Options::finish() noexcept {
  for (int i = 0; status_.ok() && i < count_; ++i)
    if (!(used_ >> i & 1))
      return Status::error(Code::argument, "%s has no option \"%s\"", family_, options_[i].key ? options_[i].key : "");
  return status_;
}

}  // namespace mnnlite
