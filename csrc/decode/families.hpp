// The built-in families, each in the file of its name or of its kind. make_NAME reads its options and leaves it to the registry
// to ask whether something was wrong.
#pragma once

#include <memory>

#include "decode/common/options.hpp"
#include "decode/decoder.hpp"

// The one list of them; the registry is made of it, and Python takes names and order from there.
// clang-format off: it would set them in steps
#define MNNLITE_FAMILIES(FAMILY) \
  FAMILY(raw) FAMILY(classification) FAMILY(fastestdet) FAMILY(segmentation) FAMILY(lanes) FAMILY(dbtext)        \
  FAMILY(centerface) FAMILY(yolofastestv2) FAMILY(nanodet) FAMILY(yolo) FAMILY(keypoints) FAMILY(embedding)      \
  FAMILY(ctc) FAMILY(ssd) FAMILY(detr) FAMILY(maps) FAMILY(regression) FAMILY(retinaface) FAMILY(simcc)          \
  FAMILY(scrfd) FAMILY(yunet) FAMILY(rtmdet)
// clang-format on

namespace mnnlite {

#define MNNLITE_DECLARE(family) std::unique_ptr<Decoder> make_##family(Options& options);
MNNLITE_FAMILIES(MNNLITE_DECLARE)
#undef MNNLITE_DECLARE

}  // namespace mnnlite
