// f8E4M3FN by its definition: a sign, 4 bits of exponent, 3 of mantissa, no infinities, one NaN of each sign.
#pragma once

#include <cmath>
#include <cstdint>

namespace peer::numerics {

inline constexpr const char *kFP8 = "f8E4M3FN";

inline double numberOfFP8(uint8_t bits) {
  int exponent = bits >> 3 & 15, mantissa = bits & 7;
  double size = exponent == 15 && mantissa == 7 ? std::nan("")
                : exponent == 0                 ? std::ldexp(mantissa, -9)
                                                : std::ldexp(8 + mantissa, exponent - 10);
  return bits & 0x80 ? -size : size;
}

/// Of a number that is one.
inline uint8_t bitsOfFP8(double number) {
  unsigned bits = 0;
  for (; bits < 256; ++bits) {
    double one = numberOfFP8(static_cast<uint8_t>(bits));
    if (std::signbit(one) == std::signbit(number) && (one == number || (std::isnan(one) && std::isnan(number))))
      break;
  }
  return static_cast<uint8_t>(bits);
}

} // namespace peer::numerics
