// Trains a language model: the loop, its checkpoints, log, validation and report.
#pragma once

#include "StepProfile.h"
#include "TrainSettings.h"
#include "lm/Log.h"
#include "lm/Progress.h"
#include "session/Session.h"

#include <functional>
#include <limits>

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
  /// The least validation loss so far and the step it was measured after; infinite and 0 before the first.
  double bestLoss = std::numeric_limits<double>::infinity();
  int64_t bestStep = 0;
  std::string checkpoint, weights, best, report, log;
};

/// What reaches a run from outside, asked after each step, and where it shows itself. What is not set never happens.
struct TrainControl {
  /// The run is to save and to return.
  std::function<bool()> stop;
  /// The run is to save and to go on; true once for each time that was asked for.
  std::function<bool()> save;
  /// Writes summary.report, after each evaluation: from the log, the evaluation and the gate mass that the session holds for `usageEntry`.
  std::function<Status(const TrainSummary &summary, const TrainSettings &settings, const Session &session,
                       const Entry &usageEntry)>
      report;
  /// Has the kernels of steps timed.
  StepProfile *profile = nullptr;
};

/// Trains as `options` say and writes everything below options.out, which must not hold a run yet unless `resume` is set, and which one process
/// uses at a time. With `resume` it goes on from the newest checkpoint that can be read, and its result is bitwise that of a run that was
/// never interrupted. On an error the last good state is saved first where it is still there; the message names the last checkpoint.
Result<TrainSummary> train(const TrainOptions &options, Progress &progress, const TrainControl &control);

} // namespace peer::runtime
