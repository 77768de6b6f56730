// From the rows of one task to the pictures of another: which, and which part of the frame.
#pragma once

#include <cstdint>
#include <vector>

#include "decode/sink.hpp"
#include "task/task.hpp"

namespace mnnlite {

struct CropRule {
  int32_t decoder = 0;  // of the task whose rows are taken
  bool every_class = true;
  std::vector<int32_t> classes;  // otherwise these
  int32_t max_crops = 1;
  double padding = 0;  // of the region's width and height, on each side
};

// True if rows of this kind have a place in the frame.
bool has_boxes(int32_t kind) noexcept;

// The best rows first, at most max_crops; an item's number is its row. A row with four corners (a plate, a line of text,
// an oriented box) gives the turned part of the frame between them, any other its box. Rows smaller than a pixel are
// left out. `items` is filled up to its size; returns how many there are. `eligible` is how many there would have been.
int32_t make_crops(const SinkBuffer& rows, const CropRule& rule, const ImageView& frame, std::vector<int32_t>& order,
                   std::vector<TaskItem>& items, int32_t& eligible) noexcept;

// Which crops are turned upside down: those whose best row in another task's results is of one of these classes.
struct TurnRule {
  int32_t decoder = 0;  // of the task whose rows say it
  std::vector<int32_t> classes;
};

// Half a turn for the items that `rows` says it of. An item that has no row there stays.
void turn_crops(const SinkBuffer& rows, const TurnRule& rule, std::vector<TaskItem>& items, int32_t count) noexcept;

}  // namespace mnnlite
