// Text as training data: bytes are the tokens, files and directories the sources.
#pragma once

#include "TextFiles.h"
#include "core/Status.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace peer::runtime {

using Text = std::vector<uint8_t>;
using TextView = std::span<const uint8_t>;

/// A text, the files it was read from, in its order, and how many others were left out.
struct TextSource {
  std::string path;
  Text bytes;
  std::vector<TextFile> files;
  LeftOut leftOut;
  int64_t notUtf8 = 0; // files that are text of single bytes in another encoding

  /// "3 files, 1.2 MB; left out: 2 hidden files, 1 archive".
  std::string summary() const;
  /// The file that holds the byte at this offset of the text, and the offset there: "books/a.txt at offset 17".
  std::string place(uint64_t offset) const;
};

/// What to read of a source.
struct TextChoice {
  /// A directory that is never read: the run's own.
  std::string ownRun;
  /// Exactly these files instead of those that are there now.
  std::optional<std::vector<TextFile>> files;
};

/// Reads a file, or the text files below a directory (see listTextFiles) one after the other.
/// Fails on an empty or unreadable source, on one that does not fit in memory, on a single file that is an archive or text of wider units than
/// bytes, and, where the files are given, on one that is gone or has another size.
Result<TextSource> readText(const std::string &path, const TextChoice &choice = {});

/// An error where a byte of the text is outside of the half-open interval that a model takes; it names file, offset and byte.
Status checkTextRange(const TextSource &text, const std::array<int64_t, 2> &range, const std::string &model);

/// What to train on and what to validate on.
struct TextSplit {
  TextView train, validation;
};

/// Holds out the last 5 % of a text, at least one context with its last target. Fails where either part would be shorter than that.
/// `path` names the text in the message.
Result<TextSplit> splitText(TextView text, int64_t context, const std::string &path);

/// An error where a text is too short for one context and the byte that follows it.
Status checkTextLength(TextView text, int64_t context, const std::string &path);

/// Which of a step's windows to draw: the micro-batch of this number, of so many.
struct MicroBatch {
  int64_t number = 0, count = 1;
};

/// Fills `tokens` and `targets` (batch * context each) with windows of the text at random places; a target is the byte
/// after its token. The places depend on (seed, step) and the text's length alone, so a resumed run sees what an uninterrupted one would, and
/// the micro-batches of a step have the windows of one batch as large as all of them.
void drawWindows(TextView text, int64_t context, uint64_t seed, int64_t step, std::span<int32_t> tokens,
                 std::span<int32_t> targets, MicroBatch part = {});

/// How many contexts that do not overlap a text has, counting only those whose last target exists.
int64_t countContexts(TextView text, int64_t context);

/// Fills one context of tokens and targets from the text's context number `index`.
void copyContext(TextView text, int64_t context, int64_t index, int32_t *tokens, int32_t *targets);

/// FNV-1a 64: tells whether two runs see the same text.
uint64_t hashText(TextView text);

/// Entropy of the distribution of single bytes in nats per byte: the loss of the best model that ignores all context.
double unigramEntropy(TextView text);

} // namespace peer::runtime
