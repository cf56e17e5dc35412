// Generates text with a language model's prefill and decode entries.
#pragma once

#include "Sample.h"
#include "session/Session.h"

#include <functional>

namespace peer::runtime {

struct GenerateOptions {
  /// Continued by the generated text; a single newline stands in for an empty one. Of a prompt longer than the model's
  /// context, the end counts.
  std::string prompt;
  int64_t tokens = 0;
  SampleOptions sample;
  uint64_t seed = 0;
};

/// How a generation went.
struct GenerateStats {
  int64_t promptTokens = 0; // read by the model
  int64_t generated = 0;
  double prefillSeconds = 0.0, decodeSeconds = 0.0;
};

/// Generates options.tokens bytes and hands each to `emit` as soon as it is known; `emit` returns false to stop early.
/// The same options and weights give the same text. The session's states (its key-value caches) are cleared first.
Result<GenerateStats> generateText(Session &session, const GenerateOptions &options,
                                   const std::function<bool(char)> &emit);

} // namespace peer::runtime
