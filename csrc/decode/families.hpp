// One maker per built-in family; each lives in the file of its name. They read their options and leave it to the
// registry to ask whether something was wrong.
#pragma once

#include <memory>

#include "decode/decoder.hpp"
#include "decode/common/options.hpp"

namespace mnnlite {

std::unique_ptr<Decoder> make_raw(Options& options);
std::unique_ptr<Decoder> make_classification(Options& options);
std::unique_ptr<Decoder> make_fastestdet(Options& options);
std::unique_ptr<Decoder> make_segmentation(Options& options);
std::unique_ptr<Decoder> make_lanes(Options& options);
std::unique_ptr<Decoder> make_dbtext(Options& options);
std::unique_ptr<Decoder> make_centerface(Options& options);
std::unique_ptr<Decoder> make_yolofastestv2(Options& options);
std::unique_ptr<Decoder> make_nanodet(Options& options);
std::unique_ptr<Decoder> make_detr(Options& options);
std::unique_ptr<Decoder> make_maps(Options& options);
std::unique_ptr<Decoder> make_regression(Options& options);
std::unique_ptr<Decoder> make_retinaface(Options& options);
std::unique_ptr<Decoder> make_simcc(Options& options);
std::unique_ptr<Decoder> make_rtmdet(Options& options);
std::unique_ptr<Decoder> make_scrfd(Options& options);
std::unique_ptr<Decoder> make_yunet(Options& options);
std::unique_ptr<Decoder> make_yolo(Options& options);
std::unique_ptr<Decoder> make_keypoints(Options& options);
std::unique_ptr<Decoder> make_embedding(Options& options);
std::unique_ptr<Decoder> make_ctc(Options& options);
std::unique_ptr<Decoder> make_ssd(Options& options);

}  // namespace mnnlite
