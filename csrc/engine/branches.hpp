// Which operators each output needs, found from the operators' tensors alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mnnlite {

// The execution order of a session as its callbacks show it. Tensors are only identities here.
class BranchMap {
 public:
  struct Shape {
    std::vector<int32_t> dims;
    int32_t type = 0;
    bool operator==(const Shape& other) const { return type == other.type && dims == other.dims; }
  };

  // One operator, in order of execution.
  void add(const std::vector<const void*>& inputs, const std::vector<const void*>& outputs,
           const std::vector<Shape>& input_shapes, const std::vector<Shape>& output_shapes);

  // For each of `outputs` the operators it needs, as one byte an operator. Some copies between backends run without a
  // callback: a tensor that no operator was seen to produce may be such a copy. It is then taken to come from every
  // earlier tensor of equal shape, which can only make a branch larger than needed. `network_inputs` come from outside.
  std::vector<std::vector<uint8_t>> needed(const std::vector<const void*>& outputs,
                                           const std::vector<Shape>& output_shapes,
                                           const std::vector<const void*>& network_inputs) const;

  size_t operators() const { return nodes_.size(); }

 private:
  struct Node {
    std::vector<const void*> inputs, outputs;
    std::vector<Shape> input_shapes, output_shapes;
  };
  std::vector<Node> nodes_;
};

}  // namespace mnnlite
