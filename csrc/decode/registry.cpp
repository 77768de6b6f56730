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

constexpr Entry kFamilies[] = {
    {"raw", make_raw},
    {"classification", make_classification},
    {"fastestdet", make_fastestdet},
    {"segmentation", make_segmentation},
    {"lanes", make_lanes},
    {"dbtext", make_dbtext},
    {"centerface", make_centerface},
    {"yolofastestv2", make_yolofastestv2},
    {"nanodet", make_nanodet},
    {"yolo", make_yolo},
    {"keypoints", make_keypoints},
    {"embedding", make_embedding},
    {"ctc", make_ctc},
    {"ssd", make_ssd},
    {"detr", make_detr},
    {"maps", make_maps},
    {"regression", make_regression},
    {"retinaface", make_retinaface},
    {"simcc", make_simcc},
    {"scrfd", make_scrfd},
    {"yunet", make_yunet},
    {"rtmdet", make_rtmdet},
};

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

Status make_decoder(const char* family, const mnnlite_option* options, int n, std::unique_ptr<Decoder>& decoder) noexcept {
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
