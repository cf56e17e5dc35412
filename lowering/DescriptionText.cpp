//===- DescriptionText.cpp - what the parser would not survive -----------===//

#include "DescriptionText.h"

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

/// Whether a text begins with integers in brackets.
static bool beginsWithIntegers(StringRef text) {
  if (!text.consume_front("["))
    return false;
  size_t end = text.find(']');
  if (end == StringRef::npos)
    return false;
  SmallVector<StringRef> parts;
  if (StringRef list = text.take_front(end).trim(); !list.empty())
    list.split(parts, ',');
  int64_t ignored;
  return llvm::none_of(parts, [&](StringRef part) { return part.trim().getAsInteger(10, ignored); });
}

/// The parser of linalg's transpose, reduce and broadcast says what is wrong with a list, and goes on as if there were one.
static bool lacksIntegers(StringRef afterOperands) {
  StringRef rest = afterOperands.ltrim();
  return (rest.consume_front("permutation") || rest.consume_front("dimensions")) &&
         (rest = rest.ltrim()).consume_front("=") && !beginsWithIntegers(rest.ltrim());
}

llvm::Error peer::checkDescriptionText(StringRef text, StringRef file) {
  constexpr unsigned kMost = 256, kLongest = 4096, kLargest = 65536;
  unsigned line = 1;
  size_t lineStart = 0;
  struct Bracket {
    char kind;
    size_t at;
    /// Characters up to here are no part of the expression that is being read.
    size_t begin;
  };
  SmallVector<Bracket> open;
  // A name is no part of one, however long, and what is in brackets is measured by itself.
  auto skip = [&](size_t length) {
    if (!open.empty())
      open.back().begin += length;
  };
  // What an alias stands for: the brackets that nest in it, and the aliases. The one being defined, and where its text begins.
  struct Alias {
    size_t depth = 0, size = 1;
  };
  llvm::StringMap<Alias> aliases;
  Alias *defined = nullptr;
  size_t body = 0;
  auto refuse = [&](size_t at, const Twine &what, unsigned most) {
    return llvm::createStringError(file + ":" + Twine(line) + ":" + Twine(at - lineStart + 1) + ": " + what + " " +
                                   Twine(most));
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\n') {
      ++line;
      lineStart = i + 1;
      if (open.empty() && !text.slice(body, i).trim().empty())
        defined = nullptr;
    } else if (c == '"') {
      size_t begin = i;
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
      i -= i < text.size() && text[i] == '\n';
      skip(i - begin);
    } else if (text.substr(i).starts_with("//")) {
      size_t begin = i;
      i = std::min(text.find('\n', i), text.size()) - 1;
      skip(i - begin);
    } else if (StringRef("([{<").contains(c)) {
      open.push_back({c, i, i});
      if (open.size() > kMost)
        return refuse(i, "brackets nest deeper than", kMost);
      if (defined)
        defined->depth = std::max(defined->depth, open.size());
    } else if (StringRef(")]}>").contains(c) && !open.empty() && (i == 0 || text[i - 1] != '-')) {
      skip(i - open.pop_back_val().at);
      if (c == ')' && lacksIntegers(text.substr(i + 1)))
        return llvm::createStringError(file + ":" + Twine(line) + ":" + Twine(i - lineStart + 1) +
                                       ": expected integers in brackets, such as [1, 0], after the operands");
    } else if (c == '!' || c == '#') {
      StringRef name = text.slice(
          i, text.find_if_not([](char d) { return llvm::isAlnum(d) || d == '_' || d == '$' || d == '.'; }, i + 1));
      i += name.size() - 1;
      if (open.empty() && text.substr(i + 1).ltrim(" \t").starts_with("=")) {
        defined = &aliases[name];
        body = text.find('=', i) + 1;
      } else if (auto found = aliases.find(name); found != aliases.end() && &found->second != defined) {
        size_t depth = open.size() + found->second.depth;
        if (depth > kMost)
          return refuse(i, "brackets nest deeper, with what " + name + " stands for, than", kMost);
        if (defined) {
          defined->depth = std::max(defined->depth, depth);
          defined->size += found->second.size;
          if (defined->size > kLargest)
            return refuse(i, "an alias stands for more types or attributes than", kLargest);
        }
      }
    } else if (c == ',' && !open.empty()) {
      open.back().begin = i;
    }
    if (!open.empty() && open.back().kind == '(' && i > open.back().begin + kLongest)
      return refuse(i, "an expression in parentheses is longer than", kLongest);
  }
  return llvm::Error::success();
}
