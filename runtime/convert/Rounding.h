// Vectors in few bits: int8 or int4 with scales.
#pragma once

#include "core/Tensor.h"

#include <span>

namespace peer::runtime {

/// How vectors are stored: each `group` elements (0: all) by a scale, max|v| / 127 or with 4 bits max|v| / 7, rounded to f32; 1 where that is 0.
/// An element is round(v / scale) to the nearest even number, at most half a scale from v. With 4 bits two are a byte: of the 32 elements from 32 b on,
/// those at j and 16 + j are the lower and the upper four bits of byte 16 b + j.
struct Rounding {
  int bits = 8;
  int64_t group = 0;

  /// Whether vectors of so many elements are whole groups and bytes.
  bool fits(int64_t width) const;
  /// The shape of what stores tensors of this one, or of the scales.
  Shape shapeOf(Shape shape, bool scales) const;
  std::vector<float> scales(std::span<const float> vector) const;
  std::vector<int8_t> bytes(std::span<const float> vector, std::span<const float> scales) const;
};

} // namespace peer::runtime
