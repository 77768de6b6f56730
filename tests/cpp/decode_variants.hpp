// Every family with the options that make it take another way, and outputs that it accepts.
#pragma once

#include <vector>

#include "decode_harness.hpp"

namespace mnnlite::test {

struct Variant {
  const char* family;
  std::vector<mnnlite_option> options;
  std::vector<std::vector<int32_t>> shapes;
  int32_t net_width = 64, net_height = 64;
  int32_t dtype = MNNLITE_F32;
};

inline mnnlite_option numbers(const char* key, const std::vector<double>& values) {
  return {key, MNNLITE_NUMBERS, static_cast<int32_t>(values.size()), 0, nullptr, values.data()};
}

inline const std::vector<Variant>& variants() {
  static const std::vector<double> strides{16, 32}, rows{10, 20, 30, 40, 50}, shares{0.4, 1};
  static const std::vector<Variant> list{
      {"raw", {}, {{2, 5}}},
      {"classification", {}, {{2, 43}}},
      {"classification", {text("activation", "sigmoid"), number("score", 0.5)}, {{2, 43, 1, 1}}},
      {"fastestdet", {number("score", 0.1)}, {{2, 12, 8, 8}}},
      {"segmentation", {number("scores", 1)}, {{2, 5, 30, 40}}},
      {"segmentation", {text("size", "frame")}, {{2, 1, 30, 40}}},
      {"segmentation", {text("size", "frame"), text("resize", "linear")}, {{2, 5, 30, 40}}},
      {"segmentation", {text("output", "polygons")}, {{2, 3, 30, 40}}},
      {"segmentation",
       {text("output", "polygons"), text("mode", "classes"), number("tolerance", 0)},
       {{2, 30, 40}},
       64,
       64,
       MNNLITE_U8},
      {"yolo", {number("score", 0.05)}, {{2, 9, 500}}},
      {"yolo", {number("score", 0.05), text("nms", "soft")}, {{2, 500, 9}}},
      {"yolo", {number("score", 0.05), number("points", 3), text("nms", "weighted")}, {{2, 11, 500}}},
      {"yolo", {number("score", 0.05), number("points", 2), number("point_values", 3)}, {{2, 11, 500}}},
      {"yolo", {number("score", 0.05), number("rotated", 1)}, {{2, 8, 200}}},
      {"yolo", {number("score", 0.05), text("version", "v5")}, {{2, 500, 9}}},
      {"yolo",
       {number("score", 0.05), text("version", "v5"), number("points", 4)},
       {{2, 42, 8, 8}, {2, 3, 4, 4, 14}, {2, 3, 2, 2, 14}}},
      {"yolo", {number("score", 0.05), text("version", "v5")}, {{2, 27, 8, 8}, {2, 3, 4, 4, 9}, {2, 27, 2, 2}}},
      {"yolo", {number("score", 0.05), text("version", "v3")}, {{2, 27, 2, 2}, {2, 27, 8, 8}, {2, 27, 4, 4}}},
      {"yolo", {number("score", 0.05), text("version", "yolox")}, {{2, 84, 9}}},
      {"yolo", {number("score", 0.05), text("version", "end2end")}, {{2, 50, 6}}},
      {"yolo", {number("score", 0.05), text("version", "end2end")}, {{50, 7}}},
      {"yolo", {number("score", 0.05), number("masks", 1)}, {{2, 15, 200}, {2, 8, 16, 12}}},
      {"yolo",
       {number("score", 0.05), number("masks", 1), number("mask_room", 0), text("nms", "fast")},
       {{2, 9, 11, 13}, {2, 200, 16}}},
      {"yolo", {number("score", 0.05), number("masks", 1), text("version", "v5")}, {{2, 200, 14}, {2, 4, 16, 12}}},
      {"yolo", {number("score", 0.05), number("masks", 1), text("version", "end2end")}, {{2, 50, 10}, {2, 4, 16, 12}}},
      {"yolo",
       {number("score", 0.05), number("points", 3), number("point_values", 3), text("version", "end2end")},
       {{2, 50, 15}}},
      {"yolo", {number("score", 0.05), number("rotated", 1), text("version", "end2end")}, {{2, 50, 7}}},
      {"yolo",
       {number("score", 0.05), number("rotated", 1), text("overlap", "gaussian"), text("nms", "fast")},
       {{2, 8, 200}}},
      {"yolo",
       {number("score", 0.05), text("version", "split")},
       {{2, 64, 8, 8},
        {2, 3, 8, 8},
        {2, 1, 8, 8},
        {2, 64, 4, 4},
        {2, 3, 4, 4},
        {2, 1, 4, 4},
        {2, 64, 2, 2},
        {2, 3, 2, 2},
        {2, 1, 2, 2}}},
      {"yolo", {number("score", 0.05), text("version", "split")}, {{2, 84, 67}}},
      {"scrfd",
       {number("score", 0.05)},
       {{2, 128, 1}, {2, 32, 1}, {2, 8, 1}, {2, 128, 4}, {2, 32, 4}, {2, 8, 4}, {2, 128, 10}, {2, 32, 10}, {2, 8, 10}}},
      {"scrfd",
       {number("score", 0.05), number("per_cell", 1)},
       {{2, 3, 8, 8}, {2, 4, 8, 8}, {2, 3, 4, 4}, {2, 4, 4, 4}, {2, 3, 2, 2}, {2, 4, 2, 2}}},
      {"yunet",
       {number("score", 0.05)},
       {{2, 64, 1},
        {2, 16, 1},
        {2, 4, 1},
        {2, 64, 1},
        {2, 16, 1},
        {2, 4, 1},
        {2, 64, 4},
        {2, 16, 4},
        {2, 4, 4},
        {2, 64, 10},
        {2, 16, 10},
        {2, 4, 10}}},
      {"rtmdet",
       {number("score", 0.05)},
       {{2, 5, 8, 8}, {2, 5, 4, 4}, {2, 5, 2, 2}, {2, 4, 8, 8}, {2, 4, 4, 4}, {2, 4, 2, 2}}},
      {"retinaface", {number("score", 0.05), text("activation", "softmax")}, {{2, 168, 4}, {2, 168, 2}, {2, 168, 10}}},
      {"detr", {number("score", 0.05)}, {{2, 30, 7}, {2, 30, 4}}},
      {"detr",
       {number("score", 0.05), text("activation", "softmax"), text("background", "last"), number("top_k", 9)},
       {{2, 4000, 9}}},
      {"simcc", {}, {{2, 17, 128}, {2, 17, 96}}},
      {"regression", {}, {{2, 3}, {2, 1}}},
      {"regression", {text("mode", "expectation")}, {{2, 66}, {2, 66}, {2, 66}}},
      {"maps", {}, {{2, 2, 30, 40}}},
      {"maps", {text("size", "frame"), text("activation", "sigmoid")}, {{2, 30, 40}}},
      {"maps", {text("output", "picture"), text("size", "frame"), number("scale", 255)}, {{2, 3, 9, 12}}},
      {"ssd", {number("score", 0.05)}, {{2, 100, 3}, {2, 100, 4}}},
      {"ssd",
       {number("score", 0.05), text("boxes", "deltas"), numbers("strides", strides), number("points", 2),
        text("activation", "softmax"), number("background", 0), text("nms", "weighted")},
       {{2, 40, 3}, {2, 40, 8}}},
      {"ssd", {number("score", 0.05), number("multi_label", 1), number("top_k", 7)}, {{2, 900, 6}, {2, 900, 4}}},
      {"nanodet", {number("score", 0.05)}, {{2, 85, 36}}},
      {"nanodet",
       {number("score", 0.05), number("sigmoid", 1), numbers("strides", strides)},
       {{2, 4, 5}, {2, 16, 32}, {2, 4, 32}, {2, 16, 5}}},
      {"yolofastestv2", {number("score", 0.05)}, {{2, 4, 4, 20}, {2, 2, 2, 20}}},
      {"centerface", {number("score", 0.05)}, {{2, 1, 16, 16}, {2, 2, 16, 16}, {2, 2, 16, 16}, {2, 10, 16, 16}}},
      {"centerface",
       {number("score", 0.05), text("variant", "centernet")},
       {{2, 4, 16, 16}, {2, 2, 16, 16}, {2, 2, 16, 16}}},
      {"lanes", {number("min_length", 0), number("min_pixels", 1)}, {{2, 2, 30, 40}}},
      {"lanes",
       {number("min_length", 0), number("degree", 3), text("mode", "classes")},
       {{2, 30, 40}},
       64,
       64,
       MNNLITE_U8},
      {"lanes", {text("head", "rows"), numbers("row_anchors", rows)}, {{2, 21, 5, 4}}},
      {"lanes",
       {text("head", "anchors"), numbers("row_anchors", shares), number("min_points", 2), number("crop_ratio", 0.6)},
       {{2, 21, 5, 4}, {2, 11, 8, 4}, {2, 2, 5, 4}, {2, 2, 8, 4}}},
      {"ctc", {}, {{2, 20, 30}}},
      {"ctc", {text("activation", "softmax"), number("keep_empty", 1)}, {{2, 20, 30}}},
      {"ctc", {number("symbols_first", 1)}, {{2, 30, 20}}},
      {"dbtext", {number("score", 0)}, {{2, 1, 40, 60}}},
      {"keypoints", {}, {{2, 7, 12, 16}}},
      {"keypoints", {text("mode", "regressed"), number("values", 3), text("units", "relative")}, {{2, 21}}},
      {"embedding", {}, {{2, 128}}},
  };
  return list;
}

}  // namespace mnnlite::test
