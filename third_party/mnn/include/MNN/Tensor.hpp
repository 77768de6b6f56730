// Tensors of a session. Declarations for mnnlite, see ../../README.md.
#ifndef MNNLITE_MNN_TENSOR_HPP
#define MNNLITE_MNN_TENSOR_HPP

#include <vector>

#include <MNN/HalideRuntime.h>

namespace MNN {

class __attribute__((visibility("default"))) Tensor {
 public:
  struct InsideDescribe;
  enum DimensionType { TENSORFLOW, CAFFE, CAFFE_C4 };
  enum MapType { MAP_TENSOR_WRITE = 0, MAP_TENSOR_READ = 1 };

  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  static Tensor* create(const std::vector<int>& shape, halide_type_t type, void* data = nullptr,
                        DimensionType dimType = TENSORFLOW);
  static void destroy(Tensor* tensor);

  bool copyFromHostTensor(const Tensor* hostTensor);
  bool copyToHostTensor(Tensor* hostTensor) const;
  DimensionType getDimensionType() const;
  std::vector<int> shape() const;
  int size() const;
  void* map(MapType type, DimensionType dimensions);
  int wait(MapType type, bool finish);
  void unmap(MapType type, DimensionType dimensions, void* mapped);

  const halide_buffer_t& buffer() const { return mBuffer; }
  halide_buffer_t& buffer() { return mBuffer; }

 private:
  Tensor();
  ~Tensor();

  halide_buffer_t mBuffer;
  InsideDescribe* mDescribe;
};

}  // namespace MNN
#endif
