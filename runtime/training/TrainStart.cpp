// The beginning of a training run, new or resumed.

#include "../Checkpoint.h"
#include "TrainRun.h"

#include <filesystem>

namespace peer::runtime {

namespace fs = std::filesystem;

Status TrainRun::openModel() {
  PEER_TRY_ASSIGN(session, Session::open({options.artifact.empty() ? options.model : options.artifact, options.model},
                                         options.device));
  PEER_TRY_ASSIGN(trainModel, findLanguageEntry(session->manifest(), EntryKind::Train, options.model));
  PEER_TRY_ASSIGN(lossModel, findLanguageEntry(session->manifest(), EntryKind::Loss, options.model));
  PEER_TRY_ASSIGN(settings.learningRates, resolveLearningRates(session->manifest(), options));
  settings.model = options.model;
  settings.batch = options.batch;
  settings.context = trainModel.context;
  settings.seed = options.seed;
  settings.steps = options.steps;
  settings.schedule = {options.schedule, options.warmup, options.steps};
  evalEvery = options.evalEvery.value_or(std::max<int64_t>(options.steps / 10, 1));
  return {};
}

Status TrainRun::openData() {
  int64_t context = std::max(trainModel.context, lossModel.context);
  PEER_TRY_ASSIGN(text, readText(options.data));
  if (options.evalData.empty()) {
    PEER_TRY_ASSIGN(split, splitText(text, context, options.data));
  } else {
    PEER_TRY_ASSIGN(evalText, readText(options.evalData));
    PEER_TRY(checkTextLength(text, context, options.data));
    PEER_TRY(checkTextLength(evalText, context, options.evalData));
    split = {text, evalText};
  }
  settings.data = options.data;
  settings.evalData = options.evalData;
  settings.trainHash = hashText(split.train);
  settings.validationHash = hashText(split.validation);
  summary.unigramEntropy = unigramEntropy(split.train);
  return {};
}

Status TrainRun::startOver() {
  PEER_TRY(session->initParameters(options.seed));
  PEER_TRY(session->prepare(*trainModel.entry));
  PEER_TRY(session->prepare(*lossModel.entry));
  PEER_TRY_ASSIGN(inputs, makeLanguageInputs(trainModel, settings.batch));
  std::error_code error;
  fs::create_directories(options.out, error);
  if (error)
    return Status::error("cannot create the directory ", options.out, ": ", error.message());
  PEER_TRY_ASSIGN(log, RunLog::create(summary.log, settings.toJson()));
  return {};
}

Status TrainRun::resume() {
  std::vector<CheckpointFile> files = listCheckpoints(options.out);
  for (const CheckpointFile &candidate : files) {
    Result<SafetensorsFile> file = SafetensorsFile::open(candidate.path);
    if (!file.ok()) {
      progress.say(concat("passing over a damaged checkpoint: ", file.message()));
      continue;
    }
    auto run = file->metadata().find("run");
    PEER_TRY(checkSameRun(run == file->metadata().end() ? "" : run->second, settings, candidate.path));
    if (candidate.step > settings.steps)
      return Status::error("the run in ", options.out, " is at step ", candidate.step, " already: expected --steps ",
                           candidate.step, " or more");
    PEER_TRY(loadCheckpoint(*session, *trainModel.entry, *file));
    PEER_TRY(session->prepare(*lossModel.entry));
    PEER_TRY_ASSIGN(inputs, makeLanguageInputs(trainModel, settings.batch));
    start = lastSaved = summary.step = candidate.step;
    summary.checkpoint = candidate.path;
    removeTemporaries(options.out);
    std::error_code ignored;
    if (fs::exists(summary.log, ignored)) {
      PEER_TRY_ASSIGN(log, RunLog::resume(summary.log, start));
    } else {
      PEER_TRY_ASSIGN(log, RunLog::create(summary.log, settings.toJson()));
    }
    PEER_TRY_ASSIGN(RunHistory history, readLog(summary.log));
    for (const StepRecord &record : history.steps) {
      loss.add(record.loss);
      stepSeconds.add(static_cast<double>(inputs.at("tokens").elements()) / record.tokensPerSecond);
    }
    updateSummary();
    if (!history.evaluations.empty())
      lastLoggedEvaluation = history.evaluations.back().step;
    progress.say(concat("going on from ", candidate.path, " (step ", start, ")"));
    return {};
  }
  if (!files.empty())
    return Status::error("no checkpoint in ", options.out, " can be read: the newest is ", files.front().path);
  if (std::error_code ignored; !fs::exists(summary.log, ignored))
    return Status::error(options.out, " holds no run to resume: expected a checkpoint-STEP.safetensors in it");
  // A run that was killed before its first checkpoint: its beginning is where it has to go on.
  progress.say(concat(options.out, " holds no checkpoint yet: starting at step 1"));
  removeTemporaries(options.out);
  return startOver();
}

} // namespace peer::runtime
