// Text as training data: bytes are the tokens, files and directories the sources.
#pragma once

#include "Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace peer::runtime {

using Text = std::vector<uint8_t>;
using TextView = std::span<const uint8_t>;

/// Reads a file, or all regular files below a directory one after the other in the order of their paths. Links to files
/// are followed, links to directories are not, and a file that can be reached twice is read once: a directory of licence
/// texts, where GPL is a link to GPL-3, must not count one text double.
/// Fails on an empty or unreadable source and on one that does not fit in memory.
Result<Text> readText(const std::string &path);

/// What to train on and what to validate on.
struct TextSplit {
  TextView train, validation;
};

/// Holds out the last 5 % of a text, at least one context with its last target. Fails where either part would be shorter than that.
/// `path` names the text in the message.
Result<TextSplit> splitText(TextView text, int64_t context, const std::string &path);

/// An error where a text is too short for one context and the byte that follows it.
Status checkTextLength(TextView text, int64_t context, const std::string &path);

/// Fills `tokens` and `targets` (batch * context each) with windows of the text at random places; a target is the byte
/// after its token. The places depend on (seed, step) and the text's length alone, so a resumed run sees what an uninterrupted one would.
void drawWindows(TextView text, int64_t context, uint64_t seed, int64_t step, std::span<int32_t> tokens,
                 std::span<int32_t> targets);

/// How many contexts that do not overlap a text has, counting only those whose last target exists.
int64_t countContexts(TextView text, int64_t context);

/// Fills one context of tokens and targets from the text's context number `index`.
void copyContext(TextView text, int64_t context, int64_t index, int32_t *tokens, int32_t *targets);

/// FNV-1a 64: tells whether two runs see the same text.
uint64_t hashText(TextView text);

/// Entropy of the distribution of single bytes in nats per byte: the loss of the best model that ignores all context.
double unigramEntropy(TextView text);

} // namespace peer::runtime
