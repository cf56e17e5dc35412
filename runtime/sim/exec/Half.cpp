#include "Half.h"

#include <algorithm>

namespace peer::runtime::sim {

uint64_t roundTo(FloatFormat format, Rounding rounding, bool negative, uint64_t significand, int exponent,
                 bool sticky) {
  int bias = (1 << (format.exponentBits - 1)) - 1;
  uint64_t sign = uint64_t{negative} << (format.mantissaBits + format.exponentBits);
  uint64_t infinity = ((uint64_t{1} << format.exponentBits) - 1) << format.mantissaBits;
  if (significand == 0)
    return sign;
  // The leading one to bit 63, so that shifts right lose nothing that is wanted.
  int shift = std::countl_zero(significand);
  significand <<= shift;
  exponent -= shift;
  int biased = exponent + 63 + bias;
  // Subnormals have a leading zero and the lowest exponent.
  int drop = 63 - static_cast<int>(format.mantissaBits) + (biased < 1 ? 1 - biased : 0);
  uint64_t kept = drop >= 64 ? 0 : significand >> drop;
  uint64_t rest = drop > 64 ? 1 : drop == 64 ? significand : drop == 0 ? 0 : significand << (64 - drop);
  // drop > 64: less than half of the last place, whatever the bits are.
  constexpr uint64_t half = uint64_t{1} << 63;
  bool inexact = rest != 0 || sticky;
  bool up = false;
  switch (rounding) {
  case Rounding::NearestEven:
    up = rest > half || (rest == half && (sticky || (kept & 1)));
    break;
  case Rounding::NearestAway:
    up = rest >= half;
    break;
  case Rounding::Zero:
    break;
  case Rounding::Down:
    up = inexact && negative;
    break;
  case Rounding::Up:
    up = inexact && !negative;
    break;
  }
  kept += up;
  // Carrying into the exponent is what the encoding is made for.
  uint64_t bits = biased < 1 ? kept : (static_cast<uint64_t>(biased - 1) << format.mantissaBits) + kept;
  if (biased > 2 * bias || bits >= infinity) {
    bool toInfinity = rounding == Rounding::NearestEven || rounding == Rounding::NearestAway ||
                      (rounding == Rounding::Up && !negative) || (rounding == Rounding::Down && negative);
    bits = toInfinity ? infinity : infinity - 1;
  }
  return sign | bits;
}

uint64_t roundTo(FloatFormat format, Rounding rounding, double value) {
  auto bits = std::bit_cast<uint64_t>(value);
  bool negative = bits >> 63;
  uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
  int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  unsigned width = format.mantissaBits + format.exponentBits;
  if (exponent == 0x7ff) {
    uint64_t infinity = ((uint64_t{1} << format.exponentBits) - 1) << format.mantissaBits;
    // The canonical NaN has every bit but the sign.
    return mantissa ? (uint64_t{1} << width) - 1 : infinity | uint64_t{negative} << width;
  }
  return exponent ? roundTo(format, rounding, negative, mantissa | uint64_t{1} << 52, exponent - 1075)
                  : roundTo(format, rounding, negative, mantissa, -1074);
}

double addToOdd(double a, double b) {
  double sum = a + b;
  if (!std::isfinite(sum))
    return sum;
  // Knuth's two-sum: the error of the addition, exactly.
  double bPart = sum - a;
  double error = (a - (sum - bPart)) + (b - bPart);
  if (error == 0 || (std::bit_cast<uint64_t>(sum) & 1))
    return sum;
  return std::nextafter(sum, error > 0 ? HUGE_VAL : -HUGE_VAL);
}

} // namespace peer::runtime::sim
