// Measuring a language model on a text.
#pragma once

#include "Data.h"
#include "DataEntry.h"
#include "Log.h"
#include "session/Session.h"

#include <functional>

namespace peer::runtime {

struct EvalOptions {
  /// Sequences per call; the last call takes what is left.
  int64_t batch = 8;
  /// At most this many contexts, evenly spread over the text; 0 takes all.
  int64_t maxContexts = 0;
  /// Called before each call of the entry with the contexts done and to do; returning false abandons the evaluation.
  std::function<bool(int64_t done, int64_t total)> onProgress;
};

/// Runs a loss entry over the contexts of a text that do not overlap: mean loss over all tokens, and each layer's usage of
/// its experts if the entry records it. The session's usage tensors hold this evaluation's gate mass afterwards.
/// `tokens` of the record is 0 if the evaluation was abandoned. A loss that is not a number is no error here.
/// The text must have at least one context (see checkTextLength).
Result<EvalRecord> evaluateText(Session &session, const LanguageEntry &model, TextView text,
                                const EvalOptions &options);

/// The gate mass per expert that the session holds for an argument of the role usage: f64, or f32 in artifacts of older
/// compilers. Empty where there is none.
std::vector<double> readGateMass(const Session &session, const Argument &argument);

/// Usage and unevenness of each layer that an entry records, from the gate mass the session holds now.
std::vector<LayerUsage> readLayerUsage(const Session &session, const Entry &entry);

} // namespace peer::runtime
