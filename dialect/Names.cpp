//===- Names.cpp - what tensors, groups and entries may be called --------===//

#include "dialect/Names.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Unicode.h"

using namespace llvm;

std::string peer::findFault(StringRef name) {
  if (name.empty())
    return "it is empty";
  if (name.size() > kLongestName)
    return "it has " + std::to_string(name.size()) + " bytes, and a name has at most " + std::to_string(kLongestName);
  switch (sys::unicode::columnWidthUTF8(name)) {
  case sys::unicode::ErrorInvalidUTF8:
    return "it is not UTF-8";
  case sys::unicode::ErrorNonPrintableCharacter:
    return "it holds a character that cannot be printed";
  default:
    return name.contains(' ') ? "it holds a space" : "";
  }
}

std::string peer::findTensorFault(StringRef name) {
  return name == "__metadata__" ? "a safetensors file has no tensor of that name" : findFault(name);
}

std::string peer::findParameterFault(StringRef name) {
  return name.starts_with("state:") ? "checkpoints keep optimizer states under names that begin with 'state:'"
                                    : findTensorFault(name);
}

std::string peer::findGroupFault(StringRef name) {
  if (name.contains('=') || name.contains(','))
    return "options name groups in GROUP=VALUE, so it cannot hold '=' or ','";
  return findFault(name);
}

std::string peer::quote(StringRef name) {
  constexpr size_t kMost = 120;
  if (name.size() > kMost)
    return quote(name.take_front(kMost / 2)) + "..." + quote(name.take_back(kMost / 4));
  if (sys::unicode::columnWidthUTF8(name) >= 0)
    return ("'" + name + "'").str();
  std::string text;
  raw_string_ostream stream(text);
  for (unsigned char byte : name.bytes()) {
    if (isPrint(char(byte)))
      stream << char(byte);
    else
      stream << '\\' << hexdigit(byte >> 4) << hexdigit(byte & 15);
  }
  return "'" + text + "'";
}
