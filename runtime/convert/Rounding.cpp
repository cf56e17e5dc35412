#include "Rounding.h"

#include <algorithm>
#include <cmath>

namespace peer::runtime {

/// Elements that bytes of two come in whole multiples of.
static constexpr int64_t kBlock = 32;

uint8_t floatToFP8(float value) {
  uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value))
    return sign | 0x7f;
  float size = std::min(std::abs(value), 448.0f);
  // The last of three bits behind the first one, or below 2^-6 that of 2^-9; what rounds up to the next power of two is that.
  int exponent = std::max(size > 0 ? std::ilogb(size) : -6, -6);
  auto units = static_cast<int>(std::nearbyint(std::ldexp(size, 3 - exponent)));
  return static_cast<uint8_t>(sign | (((exponent + 6) << 3) + units));
}

bool Rounding::fits(int64_t width) const {
  return (bits == 8 || (bits == 4 && !isFP8 && width % kBlock == 0)) && width > 0 && group >= 0 &&
         (group == 0 || (group % kBlock == 0 && width % group == 0));
}

Shape Rounding::shapeOf(Shape shape, bool scales) const {
  int64_t width = shape.back();
  shape.pop_back();
  if (!scales)
    shape.push_back(bits == 4 ? width / 2 : width);
  else if (group)
    shape.push_back(width / group);
  return shape;
}

std::vector<float> Rounding::scales(std::span<const float> vector) const {
  size_t each = group ? static_cast<size_t>(group) : vector.size();
  std::vector<float> result;
  for (size_t first = 0; first < vector.size(); first += each) {
    float most = 0;
    for (float value : vector.subspan(first, each))
      most = std::max(most, std::abs(value));
    float scale = most / (isFP8 ? 448.0f : bits == 4 ? 7.0f : 127.0f);
    result.push_back(scale > 0 ? scale : 1);
  }
  return result;
}

std::vector<int8_t> Rounding::bytes(std::span<const float> vector, std::span<const float> scales) const {
  size_t each = vector.size() / scales.size();
  float most = bits == 4 ? 7 : 127;
  std::vector<int8_t> result(vector.size());
  if (isFP8) {
    for (size_t i = 0; i < vector.size(); ++i)
      result[i] = static_cast<int8_t>(floatToFP8(vector[i] / scales[i / each]));
    return result;
  }
  // Tiny scales are rounded so much that quotients beyond the most occur.
  for (size_t i = 0; i < vector.size(); ++i)
    result[i] = static_cast<int8_t>(std::clamp(std::nearbyint(vector[i] / scales[i / each]), -most, most));
  if (bits == 8)
    return result;
  for (size_t byte = 0; byte < vector.size() / 2; ++byte) {
    size_t low = byte / 16 * 32 + byte % 16;
    // Elements of later bytes lie behind this one.
    result[byte] = static_cast<int8_t>((result[low] & 0xf) | static_cast<int8_t>(result[low + 16] << 4));
  }
  result.resize(vector.size() / 2);
  return result;
}

} // namespace peer::runtime
