// Trains a language model: the loop, its checkpoints, log, validation and report.
#pragma once

#include "../Log.h"
#include "../Progress.h"
#include "TrainSettings.h"

#include <functional>

namespace peer::runtime {

/// How a run ended.
struct TrainSummary {
  /// The run was stopped from outside after `step`, saved, and can be resumed.
  bool interrupted = false;
  int64_t step = 0;
  double trainLoss = 0.0; // smoothed, nats per token
  double unigramEntropy = 0.0;
  double tokensPerSecond = 0.0;
  EvalRecord validation;
  std::string checkpoint, weights, report, log;
};

/// Trains as `options` say and writes everything below options.out, which must not hold a run yet unless `resume` is set.
/// With `resume` it goes on from the newest checkpoint that can be read, and its result is bitwise that of a run that was
/// never interrupted. `interrupted` is asked after each step; when it returns true, the run saves and returns.
/// On an error the last checkpoint saved is left as it is and named in the message.
Result<TrainSummary> train(const TrainOptions &options, Progress &progress, const std::function<bool()> &interrupted);

} // namespace peer::runtime
