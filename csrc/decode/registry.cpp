#include "decode/registry.hpp"

#include <cstring>
#include <new>

#include "core/isa.hpp"
#include "decode/families.hpp"

namespace mnnlite {
namespace {

struct Entry {
  const char* family;
  std::unique_ptr<Decoder> (*make)(Options&);
};

#define MNNLITE_ENTRY(family) {#family, make_##family},
constexpr Entry kFamilies[] = {MNNLITE_FAMILIES(MNNLITE_ENTRY)};
#undef MNNLITE_ENTRY

}  // namespace

std::vector<const char*> decoder_families() {
  std::vector<const char*> names;
  for (const Entry& entry : kFamilies) names.push_back(entry.family);
  return names;
}

Status describe_options(const char* family, const mnnlite_option* options, int n, std::vector<OptionAsked>& asked) {
  for (const Entry& entry : kFamilies) {
    if (std::strcmp(entry.family, family) != 0) continue;
    Options reader(entry.family, options, n);
    reader.record(&asked);
    const std::unique_ptr<Decoder> made = entry.make(reader);
    return reader.finish();
  }
  return Status::error(Code::argument, "there is no decoder family \"%s\"", family);
}

Status make_decoder(const char* family, const mnnlite_option* options, int n,
                    std::unique_ptr<Decoder>& decoder) noexcept {
  Isa isa = Isa::baseline;
  MNNLITE_TRY(choose_isa(isa));
  for (const Entry& entry : kFamilies) {
    if (std::strcmp(entry.family, family) != 0) continue;
    try {
      Options reader(entry.family, options, n);
      std::unique_ptr<Decoder> made = entry.make(reader);
      if (made) made->expect_names(reader.integer("name_count", 0, 0));
      MNNLITE_TRY(reader.finish());
      decoder = std::move(made);
      return {};
    } catch (const std::bad_alloc&) {
      return Status::error(Code::out_of_memory, "no memory for a decoder of family \"%s\"", family);
    }
  }
  return Status::error(Code::argument, "there is no decoder family \"%s\"", family);
}

}  // namespace mnnlite
