#include "task/crops.hpp"

#include <algorithm>
#include <cmath>

#include "image/geometry.hpp"

namespace mnnlite {
namespace {

// First value of the row's four corners, or -1.
int32_t corners_of(const mnnlite_row& row, int32_t kind) noexcept {
  if (kind == MNNLITE_TEXTS) return row.value_count >= 8 ? row.first_value : -1;
  if (kind == MNNLITE_DETECTIONS || kind == MNNLITE_POLYGONS) return row.value_count == 8 ? row.first_value : -1;
  return -1;
}

bool region_of(const mnnlite_row& row, const mnnlite_sink& sink, int32_t kind, double padding,
               Region& region) noexcept {
  const int32_t corners = corners_of(row, kind);
  bool turned = false;
  if (corners >= 0) {
    double points[8];
    for (int i = 0; i < 8; ++i) points[i] = static_cast<double>(sink.values[corners + i]);
    turned = image::region_of_quad(points, region).ok();
  }
  if (!turned) {
    const double width = static_cast<double>(row.box[2]) - static_cast<double>(row.box[0]);
    const double height = static_cast<double>(row.box[3]) - static_cast<double>(row.box[1]);
    region.to_frame = Mapping::scale_shift(1, 1, static_cast<double>(row.box[0]), static_cast<double>(row.box[1]));
    region.width = width;
    region.height = height;
  }
  if (!(region.width >= 1) || !(region.height >= 1)) return false;
  if (padding > 0) {
    const double x = padding * region.width, y = padding * region.height;
    region.to_frame = Mapping::compose(region.to_frame, Mapping::scale_shift(1, 1, -x, -y));
    region.width += 2 * x;
    region.height += 2 * y;
  }
  return image::check_region(region).ok();
}

}  // namespace

bool has_boxes(int32_t kind) noexcept {
  return kind == MNNLITE_DETECTIONS || kind == MNNLITE_MASKS || kind == MNNLITE_POLYGONS || kind == MNNLITE_POLYLINES ||
         kind == MNNLITE_KEYPOINTS || kind == MNNLITE_TEXTS || kind == MNNLITE_INSTANCES;
}

int32_t make_crops(const SinkBuffer& rows, const CropRule& rule, const ImageView& frame, std::vector<int32_t>& order,
                   std::vector<TaskItem>& items, int32_t& eligible) noexcept {
  const mnnlite_sink& sink = rows.sink();
  const int32_t kind = rows.kind();
  int32_t count = 0;
  for (int32_t i = 0; i < sink.row_count && count < static_cast<int32_t>(order.size()); ++i) {
    const mnnlite_row& row = sink.rows[i];
    if (kind == MNNLITE_POLYGONS && row.parent >= 0) continue;  // a hole
    if (!rule.every_class && std::find(rule.classes.begin(), rule.classes.end(), row.class_id) == rule.classes.end())
      continue;
    order[static_cast<size_t>(count++)] = i;
  }
  std::sort(order.begin(), order.begin() + count, [&](int32_t a, int32_t b) {
    return sink.rows[a].score != sink.rows[b].score ? sink.rows[a].score > sink.rows[b].score : a < b;
  });
  eligible = 0;
  int32_t made = 0;
  for (int32_t i = 0; i < count; ++i) {
    Region region;
    if (!region_of(sink.rows[order[static_cast<size_t>(i)]], sink, kind, rule.padding, region)) continue;
    ++eligible;
    if (made == rule.max_crops || made == static_cast<int32_t>(items.size())) continue;
    TaskItem& item = items[static_cast<size_t>(made++)];
    item = TaskItem{};
    item.view = frame;
    item.region = region;
    item.number = order[static_cast<size_t>(i)];
  }
  return made;
}

void turn_crops(const SinkBuffer& rows, const TurnRule& rule, std::vector<TaskItem>& items, int32_t count) noexcept {
  const mnnlite_sink& sink = rows.sink();
  for (int32_t i = 0; i < count; ++i) {
    TaskItem& item = items[static_cast<size_t>(i)];
    const mnnlite_row* best = nullptr;
    for (int32_t r = 0; r < sink.row_count; ++r)
      if (sink.rows[r].item == item.number && (!best || sink.rows[r].score > best->score)) best = &sink.rows[r];
    if (!best || std::find(rule.classes.begin(), rule.classes.end(), best->class_id) == rule.classes.end()) continue;
    item.region.to_frame =
        Mapping::compose(item.region.to_frame, Mapping::scale_shift(-1, -1, item.region.width, item.region.height));
  }
}

}  // namespace mnnlite
