#include "engine/branches.hpp"

#include <algorithm>
#include <map>

namespace mnnlite {

void BranchMap::add(const std::vector<const void*>& inputs, const std::vector<const void*>& outputs,
                    const std::vector<Shape>& input_shapes, const std::vector<Shape>& output_shapes) {
  nodes_.push_back({inputs, outputs, input_shapes, output_shapes});
}

std::vector<std::vector<uint8_t>> BranchMap::needed(const std::vector<const void*>& outputs,
                                                    const std::vector<Shape>& output_shapes,
                                                    const std::vector<const void*>& network_inputs) const {
  const size_t count = nodes_.size();
  // A tensor may be written by several operators (parts of a concatenation): all of them are its producers.
  std::map<const void*, std::vector<size_t>> producers;
  for (size_t node = 0; node < count; ++node)
    for (const void* tensor : nodes_[node].outputs) producers[tensor].push_back(node);

  const auto mark = [&](std::vector<uint8_t>& keep, const void* tensor, const BranchMap::Shape& shape, size_t before) {
    if (std::find(network_inputs.begin(), network_inputs.end(), tensor) != network_inputs.end()) return;
    if (const auto found = producers.find(tensor); found != producers.end()) {
      for (size_t node : found->second)
        if (node < before) keep[node] = 1;
      return;
    }
    for (size_t node = 0; node < before; ++node)
      for (const Shape& candidate : nodes_[node].output_shapes)
        if (candidate == shape) keep[node] = 1;
  };

  std::vector<std::vector<uint8_t>> result;
  for (size_t output = 0; output < outputs.size(); ++output) {
    std::vector<uint8_t> keep(count, 0);
    mark(keep, outputs[output], output_shapes[output], count);
    for (size_t node = count; node-- > 0;) {
      if (!keep[node]) continue;
      for (size_t input = 0; input < nodes_[node].inputs.size(); ++input)
        mark(keep, nodes_[node].inputs[input], nodes_[node].input_shapes[input], node);
    }
    result.push_back(std::move(keep));
  }
  return result;
}

}  // namespace mnnlite
