// An operand of a product.
#pragma once

#include <cstdint>

namespace peer::runtime {

/// What is stored row by row, and taken transposed if so said.
struct Matrix {
  const float *data;
  int64_t stride;
  bool transposed;

  /// From element (row, column) of what is multiplied.
  Matrix from(int64_t row, int64_t column) const {
    return {data + (transposed ? column * stride + row : row * stride + column), stride, transposed};
  }
};

} // namespace peer::runtime
