#include "Printable.h"

#include <cstdint>
#include <utility>

namespace peer::runtime {

namespace {
std::string hex(std::string_view bytes) {
  constexpr const char *digits = "0123456789abcdef";
  std::string text;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return text;
}

/// Bytes of the character that begins with this one; 0 for a byte that begins none.
size_t lengthOf(unsigned char first) {
  if (first < 0x80)
    return 1;
  if (first >= 0xc2 && first < 0xe0)
    return 2;
  if (first >= 0xe0 && first < 0xf0)
    return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/// A whole character, as itself or in digits.
std::string shown(const std::string &character, size_t length) {
  static constexpr unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  static constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  uint32_t code = static_cast<unsigned char>(character[0]) & masks[length];
  for (size_t i = 1; i < length; ++i)
    code = code << 6 | (static_cast<unsigned char>(character[i]) & 0x3f);
  bool valid = code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  bool control = (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0);
  bool reorders = code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
                  (code >= 0x2066 && code <= 0x2069) || code == 0x061c;
  return valid && !control && !reorders ? character : hex(character);
}
} // namespace

std::string PrintableText::feed(char byte) {
  auto value = static_cast<unsigned char>(byte);
  std::string text;
  if (!pending.empty() && (value & 0xc0) != 0x80)
    text = finish(); // it was cut off; this byte begins anew
  if (pending.empty()) {
    length = lengthOf(value);
    if (length == 0)
      return text + hex({&byte, 1});
  }
  pending += byte;
  if (pending.size() == length)
    text += shown(std::exchange(pending, {}), length);
  return text;
}

std::string PrintableText::finish() { return hex(std::exchange(pending, {})); }

std::string printableLine(std::string_view text) {
  PrintableText printable;
  std::string line;
  for (char c : text)
    line += c == '\n' ? printable.finish() + "\\n" : c == '\t' ? printable.finish() + "\\t" : printable.feed(c);
  return line + printable.finish();
}

} // namespace peer::runtime
