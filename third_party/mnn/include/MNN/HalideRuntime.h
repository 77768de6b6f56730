// The buffer inside a Tensor. Declarations for mnnlite, see ../../README.md.
#ifndef MNNLITE_MNN_HALIDE_RUNTIME_H
#define MNNLITE_MNN_HALIDE_RUNTIME_H

#include <cstdint>

enum halide_type_code_t { halide_type_int = 0, halide_type_uint = 1, halide_type_float = 2 };

struct halide_type_t {
  halide_type_code_t code;
  uint8_t bits;
  uint16_t lanes;

  halide_type_t(halide_type_code_t code_, uint8_t bits_, uint16_t lanes_ = 1) : code(code_), bits(bits_), lanes(lanes_) {}
  int bytes() const { return (bits + 7) / 8; }
};

struct halide_dimension_t {
  int32_t min, extent, stride;
  uint32_t flags;
};

struct halide_buffer_t {
  uint64_t device;
  const void* device_interface;
  uint8_t* host;
  uint64_t flags;
  halide_type_t type;
  int32_t dimensions;
  halide_dimension_t* dim;
  void* padding;
};

#endif
