#include "engine/suggest.hpp"

#include <algorithm>
#include <cstring>

namespace mnnlite {
namespace {

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

Status unknown_name(const char* kind, const char* name, const std::vector<std::string>& known) {
  const std::string* closest = nullptr;
  size_t best = 0;
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(candidate, name);
    if (!closest || distance < best) closest = &candidate, best = distance;
  }
  std::string list;
  for (const std::string& candidate : known) {
    if (list.size() > 100) {
      list += ", ...";
      break;
    }
    list += (list.empty() ? "\"" : ", \"") + candidate + "\"";
  }
  if (closest && known.size() > 1)
    return Status::error(Code::tensor_not_found, "no %s \"%.60s\"; did you mean \"%.60s\"? The model has %.120s", kind,
                         name, closest->c_str(), list.c_str());
  return Status::error(Code::tensor_not_found, "no %s \"%.60s\"; the model has %.120s", kind, name, list.c_str());
}

}  // namespace mnnlite
