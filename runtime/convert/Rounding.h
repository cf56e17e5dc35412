// Vectors in few bits: int8, int4 or fp8 with scales.
#pragma once

#include "core/Tensor.h"

#include <span>

namespace peer::runtime {

/// How vectors are stored: each `group` elements (0: all) by a scale, max|v| / 127 or with 4 bits max|v| / 7, rounded to f32; 1 where that is 0.
/// An element is round(v / scale) to the nearest even number, at most half a scale from v. With 4 bits two are a byte: of the 32 elements from 32 b on,
/// those at j and 16 + j are the lower and the upper four bits of byte 16 b + j.
/// As fp8 (f8E4M3FN) the scale is max|v| / 448, and an element the nearest f8E4M3FN to v / scale, of two the even one: at most 2^-4 of itself from v, or
/// below 2^-6 scales 2^-10 of a scale.
struct Rounding {
  int bits = 8;
  int64_t group = 0;
  bool isFP8 = false; // of 8 bits

  /// Whether vectors of so many elements are whole groups and bytes.
  bool fits(int64_t width) const;
  /// The shape of what stores tensors of this one, or of the scales.
  Shape shapeOf(Shape shape, bool scales) const;
  std::vector<float> scales(std::span<const float> vector) const;
  std::vector<int8_t> bytes(std::span<const float> vector, std::span<const float> scales) const;
};

/// The bits of the f8E4M3FN that is nearest to a number, of two the even one, 448 for what is larger; NaN of NaN.
uint8_t floatToFP8(float value);

} // namespace peer::runtime
