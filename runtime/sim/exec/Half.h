// Narrow floats and rounding.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace peer::runtime::sim {

enum class Rounding : uint8_t { NearestEven, Zero, Down, Up, NearestAway };

/// A binary floating-point format.
struct FloatFormat {
  unsigned mantissaBits;
  unsigned exponentBits;
};
constexpr FloatFormat kHalf{10, 5}, kBfloat{7, 8}, kTf32{10, 8}, kSingle{23, 8}, kDouble{52, 11};

/// Rounds (-1)^negative * significand * 2^exponent to a format; the bits, overflow becomes infinity or the largest value as IEEE 754
/// says. `sticky` says that the true value is a little larger in magnitude.
uint64_t roundTo(FloatFormat format, Rounding rounding, bool negative, uint64_t significand, int exponent,
                 bool sticky = false);
/// Rounds a double, NaN and infinity included.
uint64_t roundTo(FloatFormat format, Rounding rounding, double value);

inline float bfloatToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// Round to nearest even; NaN becomes the one that NVIDIA's hardware gives.
inline uint16_t floatToBfloat(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : rounded);
}

inline float halfToFloat(uint16_t bits) {
  // Scaling makes subnormals normal; 2^112 is the difference of the exponents' biases.
  uint32_t shifted = static_cast<uint32_t>(bits & 0x7fffu) << 13;
  float scaled = std::bit_cast<float>(shifted) * 0x1p112f;
  uint32_t special = std::bit_cast<uint32_t>(scaled) | 0x7f800000u;
  uint32_t magnitude = (bits & 0x7c00u) == 0x7c00u ? special : std::bit_cast<uint32_t>(scaled);
  return std::bit_cast<float>(magnitude | static_cast<uint32_t>(bits & 0x8000u) << 16);
}

/// Round to nearest even.
inline uint16_t floatToHalf(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
  uint32_t normal = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13;
  // Adding 0.5 lets the addition round: the last bit of 0.5 is the last bit of a subnormal half.
  uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t r = magnitude < 0x38800000u ? small : normal;
  r = magnitude >= 0x477ff000u ? 0x7c00u : r;
  return static_cast<uint16_t>(magnitude > 0x7f800000u ? 0x7fffu : r | sign);
}

/// .ftz: a subnormal becomes a zero of its sign.
inline float flushed(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits & 0x7f800000u) == 0 ? bits & 0x80000000u : bits);
}

/// a + b, rounded so that rounding it again to half the bits or fewer is rounding the exact sum (round to odd).
double addToOdd(double a, double b);

} // namespace peer::runtime::sim
