// The beginning of a training run, new or resumed.

#include "RunFiles.h"
#include "TrainRun.h"
#include "core/Outputs.h"

#include <filesystem>
#include <omp.h>

namespace peer::runtime {

namespace fs = std::filesystem;

namespace {

/// What the device is, and what the model was compiled for.
std::string describeDevice(const Session &session) {
  const Manifest &manifest = session.manifest();
  std::string target = manifest.arch.empty() ? manifest.cpu : manifest.arch;
  return concat(session.device().name(), target.empty() ? "" : concat(" (", target, ")"));
}

} // namespace

/// Whether the run may be written to --out; takes the lock where there is a run already.
Status TrainRun::checkPlace() {
  fs::path directory(options.out);
  summary.weights = (directory / kWeightsFile).string();
  summary.best = (directory / kBestFile).string();
  summary.report = (directory / kReportFile).string();
  summary.log = (directory / kLogFile).string();

  std::error_code ignored;
  if (fs::exists(directory, ignored) && !fs::is_directory(directory, ignored))
    return Status::error("cannot write a run to ", options.out, ": expected a directory, or no file of this name");
  if (isSameFile(options.out, options.data) || isSameFile(options.out, options.evalData))
    return Status::error("--out ", options.out, " is the directory that the data is read from: expected another one");
  std::string found;
  for (const std::string &file : {summary.log, summary.weights, summary.best, summary.report}) {
    PEER_TRY(checkOutput("--out", file, {options.model, options.data, options.evalData, options.weights}));
    if (found.empty() && fs::exists(file, ignored))
      found = file;
  }
  std::vector<CheckpointFile> checkpoints;
  if (fs::is_directory(directory, ignored)) {
    PEER_TRY_ASSIGN(checkpoints, listCheckpoints(options.out));
  }
  bool exists = !found.empty() || !checkpoints.empty();
  if (!lock.held() && (exists || (options.resume && fs::is_directory(directory, ignored)))) {
    PEER_TRY_ASSIGN(lock, RunLock::acquire(options.out));
  }
  if (!exists || options.resume)
    return {};
  if (found == summary.report)
    return Status::error(found, " exists already, and a run would replace it: name another directory with --out");
  return Status::error(options.out,
                       " already holds a run: add --resume to go on with it, or name another directory with --out");
}

Status TrainRun::openModel() {
  const std::string &artifact = options.artifact.empty() ? options.model : options.artifact;
  PEER_TRY_ASSIGN(session, Session::open({artifact, options.model}, options.device));
  PEER_TRY_ASSIGN(trainModel, findLanguageEntry(session->manifest(), EntryKind::Train, options.model));
  PEER_TRY_ASSIGN(lossModel, findLanguageEntry(session->manifest(), EntryKind::Loss, options.model));
  PEER_TRY_ASSIGN(settings.learningRates, resolveLearningRates(session->manifest(), options));
  PEER_TRY_ASSIGN(settings.groupSchedules, resolveSchedules(session->manifest(), options));
  evalEvery = options.evalEvery.value_or(std::max<int64_t>(options.steps / 10, 1));
  settings.model = options.model;
  settings.weights = options.weights;
  settings.batch = options.batch;
  settings.accumulate = options.accumulate;
  settings.context = trainModel.context;
  settings.seed = options.seed;
  settings.steps = options.steps;
  settings.seconds = options.seconds.value_or(0);
  settings.schedule = {options.schedule, options.warmup, options.steps};
  settings.evalEvery = evalEvery;
  settings.evalTokens = options.evalTokens;
  settings.threads = omp_get_max_threads();
  settings.device = describeDevice(*session);
  settings.lossFingerprint = lossModel.entry->fingerprint;
  settings.trainFingerprint = trainModel.entry->fingerprint;
  return openAccumulation();
}

/// One micro-batch is the plain step, which any artifact has.
Status TrainRun::openAccumulation() {
  if (settings.accumulate == 1)
    return {};
  PEER_TRY_ASSIGN(accumulation, Accumulation::find(*session, *trainModel.entry, settings.accumulate));
  return accumulation->checkRoom(*session, *trainModel.entry, settings.batch * settings.context);
}

/// Allocates what the entries keep.
Status TrainRun::prepare() {
  PEER_TRY(session->prepare(*trainModel.entry));
  PEER_TRY(session->prepare(*lossModel.entry));
  if (accumulation)
    PEER_TRY(accumulation->prepare(*session, settings.batch * settings.context));
  PEER_TRY_ASSIGN(inputs, makeLanguageInputs(trainModel, settings.batch));
  return {};
}

Status TrainRun::openData() {
  if (options.texts) {
    texts = *options.texts;
  } else {
    PEER_TRY_ASSIGN(texts, TrainTexts::read(options.data, options.evalData, options.out, options.resume));
  }
  int64_t context = std::max(trainModel.context, lossModel.context);
  PEER_TRY_ASSIGN(split, texts.split(context, options.data, options.evalData));
  for (const TextSource *source : {texts.data.get(), texts.evalData.get()})
    for (const LanguageEntry &model : {trainModel, lossModel})
      if (source)
        PEER_TRY(checkTextRange(*source, byteRange(model), options.model));
  settings.data = options.data;
  settings.evalData = options.evalData;
  settings.trainHash = hashText(split.train);
  settings.validationHash = hashText(split.validation);
  summary.unigramEntropy = unigramEntropy(split.train);
  return {};
}

/// Fills all parameters, of which those that --weights has begin as they are there.
Status TrainRun::fillParameters() {
  if (options.weights.empty())
    return session->initParameters(options.seed);
  PEER_TRY_ASSIGN(SafetensorsFile file, SafetensorsFile::open(options.weights));
  PEER_TRY(session->initParameters(options.seed));
  std::string note;
  PEER_TRY_ASSIGN(size_t replaced, session->replaceParameters(file, kStatePrefix, &note));
  if (!note.empty())
    progress.say(note);
  progress.say(concat("beginning with ", replaced, " of ", session->manifest().parameters.size(), " parameters from ",
                      options.weights));
  return {};
}

Status TrainRun::startOver() {
  PEER_TRY(fillParameters());
  PEER_TRY(prepare());
  std::error_code error;
  fs::create_directories(options.out, error);
  if (error)
    return Status::error("cannot create the directory ", options.out, ": ", error.message());
  if (!lock.held()) {
    PEER_TRY_ASSIGN(lock, RunLock::acquire(options.out));
    // Another process may have had a run here between our first look and the lock.
    PEER_TRY(checkPlace());
  }
  // Of a run that was killed before it had anything to go on from.
  removeTemporaries(options.out);
  PEER_TRY(texts.files().write(options.out));
  PEER_TRY_ASSIGN(log, RunLog::create(summary.log, settings.toJson()));
  return {};
}

/// Takes up the run where a checkpoint left it.
Status TrainRun::restore(const CheckpointFile &from, const SafetensorsFile &file) {
  auto run = file.metadata().find("run");
  PEER_TRY_ASSIGN(std::vector<std::string> differences,
                  compareRuns(run == file.metadata().end() ? "" : run->second, settings, from.path));
  if (!options.seconds && from.step > settings.steps)
    return Status::error("the run in ", options.out, " is at step ", from.step, " already: expected --steps ",
                         from.step, " or more");
  PEER_TRY(loadCheckpoint(*session, *trainModel.entry, file));
  PEER_TRY(prepare());
  start = lastSaved = summary.step = from.step;
  summary.checkpoint = from.path;
  removeOldCheckpoints(options.out, start);
  removeTemporaries(options.out);
  std::error_code ignored;
  if (fs::exists(summary.log, ignored)) {
    PEER_TRY_ASSIGN(log, RunLog::resume(summary.log, start));
  } else if (options.seconds) {
    return Status::error("cannot resume from ", from.path, ": ", summary.log,
                         " is gone, which says how long the run has trained");
  } else {
    PEER_TRY_ASSIGN(log, RunLog::create(summary.log, settings.toJson()));
  }
  PEER_TRY_ASSIGN(RunHistory history, readLog(summary.log));
  if (!history.evaluations.empty())
    lastLoggedEvaluation = history.evaluations.back().step;
  for (const StepRecord &record : history.steps) {
    double seconds = static_cast<double>(settings.tokensPerStep()) / record.tokensPerSecond;
    loss.add(record.loss);
    stepSeconds.add(seconds);
    trainedSeconds += seconds;
    if (record.step <= lastLoggedEvaluation)
      evaluatedSeconds = trainedSeconds;
  }
  updateSummary();
  std::tie(summary.bestLoss, summary.bestStep) = readBest(summary.best);
  for (const std::string &line : differences)
    progress.say(line);
  progress.say(concat("going on from ", from.path, " (step ", start, ")"));
  return {};
}

Status TrainRun::resume() {
  PEER_TRY_ASSIGN(std::vector<CheckpointFile> files, listCheckpoints(options.out));
  for (const CheckpointFile &candidate : files) {
    Result<SafetensorsFile> file = SafetensorsFile::open(candidate.path);
    if (file.ok())
      return restore(candidate, *file);
    progress.say(concat("passing over a damaged checkpoint: ", file.message()));
  }
  if (!files.empty())
    return Status::error("no checkpoint in ", options.out, " can be read: the newest is ", files.front().path);
  if (std::error_code ignored; !fs::exists(summary.log, ignored) && !texts.recorded)
    return Status::error(options.out, " holds no run to resume: expected a checkpoint-STEP.safetensors in it");
  // A run that was killed before its first checkpoint: its beginning is where it has to go on.
  progress.say(concat(options.out, " holds no checkpoint yet: starting at step 1"));
  return startOver();
}

} // namespace peer::runtime
