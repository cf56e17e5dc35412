// The training loop.

#include "Train.h"

#include "Checkpoint.h"
#include "Eval.h"
#include "TrainReport.h"

#include <chrono>
#include <cmath>
#include <filesystem>

namespace peer::runtime {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Without --save-every: rarely enough for tables of gigabytes, often enough that a crash costs little.
constexpr std::chrono::minutes kSaveInterval{10};
// About how many steps back the displayed loss and throughput reach.
constexpr double kDisplayMemory = 30.0;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// One run from opening its model to its report. Everything that can be wrong with the input is found before anything is written.
class TrainRun {
public:
  TrainRun(const TrainOptions &options, Progress &progress, const std::function<bool()> &interrupted)
      : options(options), progress(progress), interrupted(interrupted) {}

  Result<TrainSummary> run();

private:
  Status openModel();
  Status openData();
  Status startOver();
  Status resume();
  Status loop();
  Result<StepRecord> runStep(int64_t step);
  Status evaluate();
  Status save();
  Status afterSave(Status status) const;
  void updateSummary();
  void showProgress(bool always);
  bool evaluationDue(int64_t step) const { return step % evalEvery == 0; }
  bool saveDue(int64_t step) const {
    return options.saveEvery ? step % *options.saveEvery == 0 : Clock::now() - lastSave >= kSaveInterval;
  }

  const TrainOptions &options;
  Progress &progress;
  const std::function<bool()> &interrupted;

  std::unique_ptr<Session> session;
  LanguageEntry trainModel, lossModel;
  Text text, evalText;
  TextSplit split;
  TrainSettings settings;
  TensorMap inputs;
  std::optional<RunLog> log;

  TrainSummary summary;
  int64_t start = 0, evalEvery = 1, lastEvaluated = -1, lastLoggedEvaluation = -1, lastSaved = -1;
  Clock::time_point loopStart, lastSave;
  Smoother loss{kDisplayMemory}, stepSeconds{kDisplayMemory};
};

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

Result<StepRecord> TrainRun::runStep(int64_t step) {
  Clock::time_point begin = Clock::now();
  drawWindows(split.train, trainModel.context, settings.seed, step, inputs.at("tokens").as<int32_t>(),
              inputs.at("targets").as<int32_t>());
  StepRecord record;
  record.step = step;
  ScalarMap scalars = session->defaultScalars(*trainModel.entry);
  for (const auto &[group, rate] : settings.learningRates)
    if (auto scalar = scalars.find("learning_rate." + group); scalar != scalars.end())
      record.learningRates[group] = scalar->second = rate * settings.schedule.factor(step);
  if (auto scalar = scalars.find("step"); scalar != scalars.end())
    scalar->second = static_cast<double>(step);

  PEER_TRY_ASSIGN(TensorMap results, session->call(*trainModel.entry, inputs, scalars));
  record.loss = results.at("loss").as<float>()[0];
  if (!std::isfinite(record.loss))
    return Status::error("the loss is ", record.loss, " at step ", step,
                         ": training stopped, a lower learning rate may help");
  constexpr std::string_view kNorm = "gradient_norm.";
  for (const auto &[name, tensor] : results) {
    if (!name.starts_with(kNorm) || tensor.dtype() != DType::F32 || tensor.elements() != 1)
      continue;
    double norm = record.gradientNorms[name.substr(kNorm.size())] = tensor.as<float>()[0];
    if (!std::isfinite(norm))
      return Status::error("the gradient norm of group '", name.substr(kNorm.size()), "' is ", norm, " at step ", step,
                           ": training stopped, a lower learning rate may help");
  }
  // Groups whose norm is not computed say only whether they had one.
  constexpr std::string_view kFault = "gradient_fault.";
  for (const auto &[name, tensor] : results)
    if (name.starts_with(kFault) && !std::isfinite(tensor.as<float>()[0]))
      return Status::error("the gradient of group '", name.substr(kFault.size()), "' is not finite at step ", step,
                           ": training stopped, a lower learning rate may help");
  double seconds = secondsSince(begin);
  record.tokensPerSecond = static_cast<double>(inputs.at("tokens").elements()) / std::max(seconds, 1e-9);
  loss.add(record.loss);
  stepSeconds.add(seconds);
  return record;
}

void TrainRun::updateSummary() {
  summary.trainLoss = loss.value();
  summary.tokensPerSecond =
      static_cast<double>(settings.batch * settings.context) / std::max(stepSeconds.value(), 1e-9);
}

void TrainRun::showProgress(bool always) {
  updateSummary();
  double done = static_cast<double>(std::max<int64_t>(summary.step - start, 1));
  double left = secondsSince(loopStart) / done * static_cast<double>(settings.steps - summary.step);
  progress.update({summary.step, settings.steps, summary.trainLoss, summary.tokensPerSecond, left}, always);
}

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
  // The weights first: where a checkpoint is, they are not those of an earlier step, whatever ends the run in between.
  PEER_TRY(session->saveParameters(summary.weights, {{"step", std::to_string(summary.step)}}));
  PEER_TRY(saveCheckpoint(*session, *trainModel.entry, options.out, summary.step, settings.toJson()));
  lastSaved = summary.step;
  lastSave = Clock::now();
  summary.checkpoint = checkpointPath(options.out, summary.step);
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

Status TrainRun::loop() {
  if (start > 0 && evaluationDue(start) && lastLoggedEvaluation < start)
    PEER_TRY(evaluate()); // the run was stopped between its save and its evaluation
  while (summary.step < settings.steps && !interrupted()) {
    PEER_TRY_ASSIGN(StepRecord record, runStep(summary.step + 1));
    summary.step = record.step;
    PEER_TRY(log->append(record));
    bool last = summary.step == settings.steps;
    showProgress(last || summary.step == start + 1);
    if (!interrupted() && (last || evaluationDue(summary.step)))
      PEER_TRY(evaluate());
    if (last || interrupted() || saveDue(summary.step))
      PEER_TRY(save());
  }
  // A signal that arrives between the questions above ends the loop without a save.
  if (lastSaved != summary.step && summary.step > 0)
    PEER_TRY(save());
  // A run that was resumed at its end has no evaluation in this process yet.
  if (!interrupted() && lastEvaluated != summary.step)
    PEER_TRY(evaluate());
  summary.interrupted = interrupted();
  return {};
}

Result<TrainSummary> TrainRun::run() {
  fs::path directory(options.out);
  summary.weights = (directory / "weights.safetensors").string();
  summary.report = (directory / "report.html").string();
  summary.log = (directory / "log.jsonl").string();

  std::error_code ignored;
  bool exists =
      !listCheckpoints(options.out).empty() || fs::exists(summary.log, ignored) || fs::exists(summary.weights, ignored);
  if (exists && !options.resume)
    return Status::error(options.out,
                         " already holds a run: add --resume to go on with it, or name another directory with --out");
  PEER_TRY(openModel());
  PEER_TRY(openData());
  PEER_TRY(options.resume ? resume() : startOver());

  loopStart = lastSave = Clock::now();
  PEER_TRY(afterSave(loop()));
  progress.finish();
  return summary;
}

} // namespace

Result<TrainSummary> train(const TrainOptions &options, Progress &progress, const std::function<bool()> &interrupted) {
  return TrainRun(options, progress, interrupted).run();
}

} // namespace peer::runtime
