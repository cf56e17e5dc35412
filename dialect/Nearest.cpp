//===- Nearest.cpp - what a misspelt name was probably meant to be -------===//

#include "dialect/Nearest.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

StringRef peer::findNearest(StringRef given, ArrayRef<StringRef> known) {
  // The distance takes time and memory by the product of both lengths.
  constexpr size_t kLongest = 256;
  if (given.empty() || given.size() > kLongest)
    return {};
  StringRef nearest;
  unsigned smallest = 0;
  for (StringRef name : known) {
    unsigned most = std::max<unsigned>(1, std::max(name.size(), given.size()) / 3);
    bool abbreviates = given.size() >= 3 && (name.starts_with(given) || given.starts_with(name)) && !name.empty();
    unsigned distance = given.edit_distance_insensitive(name, /*AllowReplacements=*/true);
    if ((distance <= most || abbreviates) && (nearest.empty() || distance < smallest)) {
      nearest = name;
      smallest = distance;
    }
  }
  return nearest;
}

std::string peer::didYouMean(StringRef given, ArrayRef<StringRef> known) {
  StringRef nearest = findNearest(given, known);
  return nearest.empty() ? "" : ("; did you mean '" + nearest + "'?").str();
}

std::string peer::listNames(ArrayRef<StringRef> names, StringRef last) {
  if (names.size() < 2)
    return names.empty() ? "" : names.front().str();
  return (join(names.drop_back(), ", ") + " " + last + " " + names.back()).str();
}
