// What the runtime expects of a language model's entries.
#pragma once

#include "model/Manifest.h"

namespace peer::runtime {

/// A `loss` or `train` entry that takes token sequences.
struct LanguageEntry {
  const Entry *entry = nullptr;
  /// Tokens of one sequence; a call takes a whole number of sequences.
  int64_t context = 0;
};

/// Finds the entry of this kind (Loss or Train) and checks that it is a language model's: the inputs `tokens` and `targets`, i32 [T],
/// and the result `loss`. `path` is the artifact's, for messages.
Result<LanguageEntry> findLanguageEntry(const Manifest &manifest, EntryKind kind, const std::string &path);

/// The bytes such an entry takes: what the ranges of `tokens` and `targets` have in common, half-open.
std::array<int64_t, 2> byteRange(const LanguageEntry &model);

/// The inputs of such an entry for `sequences` sequences: `tokens` and `targets`, zeros.
Result<TensorMap> makeLanguageInputs(const LanguageEntry &model, int64_t sequences);

} // namespace peer::runtime
