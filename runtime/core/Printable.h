// Text of unknown origin, made fit for a terminal: what controls one is shown, not sent.
#pragma once

#include <string>
#include <string_view>

namespace peer::runtime {

/// Takes bytes as they come and gives what to print. Printable UTF-8, tabs and line feeds pass; other control characters, those that reorder text,
/// and bytes that are no UTF-8 become \xNN, byte by byte. A character is given with its last byte.
class PrintableText {
public:
  std::string feed(char byte);
  /// What was begun and never ended.
  std::string finish();

private:
  std::string pending; // the beginning of a character
  size_t length = 0;   // of that character, by its first byte
};

/// A piece of text for one line of a message: as above, and tabs and line feeds become \t and \n.
std::string printableLine(std::string_view text);

} // namespace peer::runtime
