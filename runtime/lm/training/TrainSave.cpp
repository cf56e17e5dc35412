// What a training run measures and writes on its way.

#include "TrainRun.h"
#include "lm/Eval.h"

#include <cmath>

namespace peer::runtime {

/// A finite loss does not prove that the update after it was: such parameters must not replace good ones.
Status TrainRun::checkFinite() {
  if (lastChecked == summary.step)
    return {};
  PEER_TRY(session->download());
  const Session &kept = *session;
  std::string what = "parameter", name = findNonFinite(kept.parameters());
  if (name.empty()) {
    what = "optimizer state";
    // Sums of gradients may be what a vetoed step left; the next one begins them anew.
    name = findNonFinite(kept.states(), trainModel.entry);
  }
  if (name.empty()) {
    lastChecked = summary.step;
    return {};
  }
  stateIsGood = false;
  notANumber = true;
  return Status::error("the ", what, " ", name, " has values that are not finite after step ", summary.step,
                       ": training stopped, a lower learning rate may help");
}

Status TrainRun::evaluate() {
  PEER_TRY(checkFinite());
  EvalOptions how;
  how.batch = settings.batch;
  how.maxContexts = options.evalTokens == 0 ? 0 : std::max<int64_t>(options.evalTokens / lossModel.context, 1);
  how.onProgress = [&](int64_t, int64_t) { return !interrupted(); };
  PEER_TRY_ASSIGN(EvalRecord record, evaluateText(*session, lossModel, split.validation, how));
  if (record.tokens == 0)
    return {}; // interrupted: the loop will see it and save
  record.step = summary.step;
  if (!std::isfinite(record.loss)) {
    stateIsGood = false;
    notANumber = true;
    return Status::error("the validation loss is ", record.loss, " after step ", summary.step,
                         ": training stopped, a lower learning rate may help");
  }
  // A loss entry need not record usage; then the training steps since the last evaluation tell.
  const Entry *usageEntry = record.layers.empty() ? trainModel.entry : lossModel.entry;
  if (record.layers.empty())
    record.layers = readLayerUsage(*session, *usageEntry);
  lastEvaluated = summary.step;
  evaluatedSeconds = trainedSeconds;
  summary.validation = record;
  if (summary.step > lastLoggedEvaluation) {
    PEER_TRY(log->append(record));
    lastLoggedEvaluation = summary.step;
    char line[160];
    std::snprintf(line, sizeof(line), "step %lld: validation loss %.4f, perplexity %.3f, %.3f bits per byte",
                  static_cast<long long>(summary.step), record.loss, record.perplexity(), record.bitsPerByte());
    progress.say(line);
  }
  if (record.loss < summary.bestLoss && !options.leavesNumbers)
    PEER_TRY(saveBest(record.loss));
  if (control.report)
    PEER_TRY(control.report(summary, settings, *session, *usageEntry));
  session->clearUsage();
  return {};
}

Status TrainRun::saveBest(double validationLoss) {
  char loss[40];
  std::snprintf(loss, sizeof(loss), "%.17g", validationLoss);
  PEER_TRY(session->saveParameters(summary.best, {{"step", std::to_string(summary.step)}, {"validation_loss", loss}}));
  summary.bestLoss = validationLoss;
  summary.bestStep = summary.step;
  return {};
}

Status TrainRun::save() {
  lastTried = summary.step;
  PEER_TRY(checkFinite());
  // The weights first: where a checkpoint is, they are not those of an earlier step, whatever ends the run in between.
  PEER_TRY(session->saveParameters(summary.weights, {{"step", std::to_string(summary.step)}}));
  lastSave = Clock::now();
  if (leavesNumbersOnly()) {
    lastSaved = summary.step;
    return {};
  }
  PEER_TRY(saveCheckpoint(*session, *trainModel.entry, options.out, summary.step, settings.toJson()));
  lastSaved = summary.step;
  summary.checkpoint = checkpointPath(options.out, summary.step);
  progress.say("saved " + summary.checkpoint);
  return {};
}

/// Whether the state is that after summary.step and worth a checkpoint.
bool TrainRun::isGoodState() {
  if (stateIsGood)
    return true;
  // A vetoed step left the state that led to it. An older checkpoint is the better place to go on from; where there is none, this one
  // is better than nothing, if it is any good at all.
  if (!vetoed || lastSaved >= 0)
    return false;
  EvalOptions one;
  one.batch = one.maxContexts = 1;
  Result<EvalRecord> record = evaluateText(*session, lossModel, split.validation, one);
  return record.ok() && std::isfinite(record->loss);
}

/// An error ends the run, but first what is good is saved; the message says where it is.
Status TrainRun::saveAfter(Status failure) {
  if (failure.ok())
    return failure;
  std::string more;
  if (summary.step > 0 && lastSaved != summary.step && lastTried != summary.step && isGoodState())
    if (Status saved = save(); !saved.ok())
      more = concat("; step ", summary.step, " could not be saved: ", saved.message());
  if (lastSaved < 0)
    return Status::error(failure.message(), more, "; no checkpoint had been saved");
  return Status::error(failure.message(), more, "; the last good checkpoint is ", summary.checkpoint);
}

} // namespace peer::runtime
