// What a training run measures and writes on its way.

#include "../Checkpoint.h"
#include "../Eval.h"
#include "TrainReport.h"
#include "TrainRun.h"

#include <cmath>

namespace peer::runtime {

Status TrainRun::evaluate() {
  EvalOptions how;
  how.batch = settings.batch;
  how.maxContexts = options.evalTokens == 0 ? 0 : std::max<int64_t>(options.evalTokens / lossModel.context, 1);
  how.onProgress = [&](int64_t, int64_t) { return !interrupted(); };
  PEER_TRY_ASSIGN(EvalRecord record, evaluateText(*session, lossModel, split.validation, how));
  if (record.tokens == 0)
    return {}; // interrupted: the loop will see it and save
  record.step = summary.step;
  if (!std::isfinite(record.loss))
    return Status::error("the validation loss is ", record.loss, " after step ", summary.step,
                         ": training stopped, a lower learning rate may help");
  // A loss entry need not record usage; then the training steps since the last evaluation tell.
  const Entry *usageEntry = record.layers.empty() ? trainModel.entry : lossModel.entry;
  if (record.layers.empty())
    record.layers = readLayerUsage(*session, *usageEntry);
  lastEvaluated = summary.step;
  summary.validation = record;
  if (summary.step > lastLoggedEvaluation) {
    PEER_TRY(log->append(record));
    lastLoggedEvaluation = summary.step;
    char line[160];
    std::snprintf(line, sizeof(line), "step %lld: validation loss %.4f, perplexity %.3f, %.3f bits per byte",
                  static_cast<long long>(summary.step), record.loss, record.perplexity(), record.bitsPerByte());
    progress.say(line);
  }
  PEER_TRY(writeTrainReport(summary, settings, *session, *usageEntry));
  session->clearUsage();
  return {};
}

Status TrainRun::save() {
  // A finite loss does not prove that the update after it was: such parameters must not replace good ones.
  PEER_TRY(session->download());
  if (std::string name = findNonFinite(std::as_const(*session).parameters()); !name.empty())
    return Status::error("the parameter ", name, " has values that are not finite after step ", summary.step,
                         ": training stopped, a lower learning rate may help");
  PEER_TRY(saveCheckpoint(*session, *trainModel.entry, options.out, summary.step, settings.toJson()));
  lastSaved = summary.step;
  lastSave = Clock::now();
  summary.checkpoint = checkpointPath(options.out, summary.step);
  PEER_TRY(session->saveParameters(summary.weights, {{"step", std::to_string(summary.step)}}));
  progress.say("saved " + summary.checkpoint);
  return {};
}

Status TrainRun::afterSave(Status status) const {
  if (status.ok())
    return status;
  if (lastSaved < 0)
    return Status::error(status.message(), "; no checkpoint had been saved");
  return Status::error(status.message(), "; the last good checkpoint is ", summary.checkpoint);
}

} // namespace peer::runtime
