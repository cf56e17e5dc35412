// Tables in fewer bits, from the definition: numbers, how two lie in a byte, and what they mean with their scales.
#pragma once

#include "FP8Reference.h"
#include "RoutingReference.h"

namespace peer::numerics {

/// Whole numbers that so many bits hold, the ends included.
inline reference::Array randomNumbers(std::vector<int64_t> shape, int bits, uint64_t seed) {
  double most = bits == 4 ? 8 : 128;
  reference::Array numbers = reference::random(std::move(shape), seed, -most, most);
  for (double &value : numbers.values)
    value = std::floor(value);
  numbers.values.front() = -most;
  numbers.values.back() = most - 1;
  return numbers;
}

/// Random fp8, with all exponents alike.
inline reference::Array randomFP8(std::vector<int64_t> shape, uint64_t seed) {
  reference::Array numbers = reference::random(std::move(shape), seed, 0, 256);
  for (double &value : numbers.values) {
    auto bits = static_cast<uint8_t>(value);
    value = numberOfFP8((bits & 0x7f) == 0x7f ? 0 : bits);
  }
  return numbers;
}

/// Two int4 a byte: element 32 b + j is the lower half of byte 16 b + j, element 32 b + 16 + j its upper one.
inline reference::Array packed(const reference::Array &numbers) {
  std::vector<int64_t> shape = numbers.shape;
  shape.back() /= 2;
  reference::Array bytes(shape);
  for (size_t i = 0; i < bytes.values.size(); ++i) {
    size_t low = i / 16 * 32 + i % 16;
    auto upper = static_cast<int>(numbers.values[low + 16]), lower = static_cast<int>(numbers.values[low]) & 15;
    bytes.values[i] = 16 * upper + lower;
  }
  return bytes;
}

/// numbers times scales, each of which is for as many neighbours as there are.
inline reference::Array scaled(reference::Array numbers, const reference::Array &scales) {
  size_t each = numbers.values.size() / scales.values.size();
  for (size_t i = 0; i < numbers.values.size(); ++i)
    numbers.values[i] *= scales.values[i / each];
  return numbers;
}

} // namespace peer::numerics
