// The runs of a comparison.

#include "Compare.h"

#include "CompareRun.h"
#include "core/File.h"
#include "device/cpu/Blas.h"
#include "lm/Eval.h"
#include "lm/training/RunFiles.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

namespace peer::runtime {

namespace fs = std::filesystem;

namespace {
/// Of a turn, in seconds: short beside what other programs do on the machine, long beside filling the caches with another model.
constexpr double kTurn = 2.0;
constexpr const char *kRuns = "runs", *kResult = "result.json";
} // namespace

std::string CompareRun::runDirectory(const BudgetResult &budget, uint64_t seed, size_t model) const {
  std::string name = fs::path(options.models[model].model).stem().string();
  std::string kind = budget.steps ? "steps" : "seconds";
  return (fs::path(options.out) / kRuns / concat(model + 1, "-", name, "-", kind, "-seed", seed)).string();
}

Result<std::unique_ptr<CompareRun::Open>> CompareRun::open(const BudgetResult &budget, uint64_t seed, size_t model) {
  auto open = std::make_unique<Open>();
  open->model = model;
  TrainOptions &train = open->options = options.common;
  train.model = options.models[model].model;
  train.artifact = options.models[model].artifact;
  dropUnknownGroups(train, *manifests[model]);
  train.steps = budget.steps.value_or(0);
  train.seconds = budget.seconds;
  train.seed = seed;
  train.out = runDirectory(budget, seed, model);
  train.texts = texts;
  train.leavesNumbers = true;
  PEER_TRY_ASSIGN(std::vector<CheckpointFile> checkpoints, listCheckpoints(train.out));
  std::error_code ignored;
  train.resume = !checkpoints.empty() || fs::exists(fs::path(train.out) / kLogFile, ignored);
  open->control.stop = [this] { return stopped(); };
  open->run = std::make_unique<TrainRun>(open->options, open->silent, open->control);
  Status begun = open->run->begin();
  // Once: the runs are in one process.
  if (std::string advice = blasAdvice(); !advice.empty() && !std::exchange(advised, true))
    progress.say(advice);
  if (begun.ok())
    return open;
  bool memory = begun.message().find("memory") != std::string::npos;
  return Status::error(begun.message(), memory && !options.oneByOne ? "; --one-by-one holds one model at a time" : "");
}

/// The validations of a run, from its log.
Status CompareRun::addCurve(SeedResult &result, const Open &run) const {
  PEER_TRY_ASSIGN(RunHistory history, readLog(run.run->currentSummary().log));
  double tokens = static_cast<double>(run.run->currentSettings().tokensPerStep()), seconds = 0;
  auto step = history.steps.begin();
  for (const EvalRecord &evaluation : history.evaluations) {
    for (; step != history.steps.end() && step->step <= evaluation.step; ++step)
      seconds += tokens / step->tokensPerSecond;
    result.curve.push_back({evaluation.step, seconds, evaluation.loss});
  }
  return {};
}

Status CompareRun::record(BudgetResult &budget, const Open &run, SeedResult result) {
  result.seed = run.options.seed;
  result.steps = run.run->currentSummary().step;
  result.seconds = run.run->seconds();
  PEER_TRY(addCurve(result, run));
  PEER_TRY(writeFile((fs::path(run.options.out) / kResult).string(), resultJson(result)));
  // Whatever it could go on from is of no more use.
  PEER_TRY_ASSIGN(std::vector<CheckpointFile> checkpoints, listCheckpoints(run.options.out));
  std::error_code ignored;
  for (const CheckpointFile &file : checkpoints)
    fs::remove(file.path, ignored);
  ++comparison.runsFinished;
  std::string how =
      concat("validation loss ", fixed(result.loss, 4), " after ", formatCount(static_cast<double>(result.steps)),
             result.steps == 1 ? " step" : " steps", " in ", fixed(result.seconds, 1), " s");
  progress.say(concat(comparison.models[run.model].name, ", seed ", result.seed, ": ",
                      result.failure.empty() ? how : "diverged, " + result.failure, " (", comparison.runsFinished,
                      " of ", comparison.runsTotal, " runs)"));
  budget.runs[run.model].push_back(std::move(result));
  return {};
}

Result<double> CompareRun::measureDisabled(const Open &run, const TrainSummary &summary) const {
  const ComparedModel &model = options.models[run.model];
  const TrainOptions &common = options.common;
  PEER_TRY_ASSIGN(auto session, Session::open(ModelFile(model.disabledArtifact, model.model), common.device));
  PEER_TRY_ASSIGN(LanguageEntry loss, findLanguageEntry(session->manifest(), EntryKind::Loss, model.model));
  PEER_TRY(session->loadParameters(summary.weights));
  // The contexts that the run was measured on.
  EvalOptions how;
  how.batch = common.batch;
  how.maxContexts = common.evalTokens == 0 ? 0 : std::max<int64_t>(common.evalTokens / loss.context, 1);
  PEER_TRY_ASSIGN(EvalRecord record, evaluateText(*session, loss, split.validation, how));
  return record.loss;
}

Status CompareRun::finish(BudgetResult &budget, Open &run) {
  PEER_TRY_ASSIGN(TrainSummary summary, run.run->conclude());
  if (summary.interrupted)
    return {};
  SeedResult result;
  result.loss = summary.validation.loss;
  result.layers = summary.validation.layers;
  if (!options.models[run.model].disabledArtifact.empty()) {
    PEER_TRY_ASSIGN(result.disabledLoss, measureDisabled(run, summary));
  }
  double tokens = static_cast<double>(summary.step * run.run->currentSettings().tokensPerStep());
  result.tokensPerSecond = tokens / std::max(run.run->seconds(), 1e-9);
  return record(budget, run, std::move(result));
}

Status CompareRun::fail(BudgetResult &budget, Open &run, const Status &failure) {
  SeedResult result;
  result.failure = failure.message().substr(0, failure.message().find(':'));
  return record(budget, run, std::move(result));
}

void CompareRun::showProgress(const Open &run, const std::vector<std::unique_ptr<Open>> &open) {
  const TrainSummary &summary = run.run->currentSummary();
  auto share = [](const Open &one) {
    double steps = static_cast<double>(one.run->currentSummary().step) / std::max<double>(one.options.steps, 1);
    return std::min(1.0, one.options.seconds ? one.run->seconds() / *one.options.seconds : steps);
  };
  double done = static_cast<double>(comparison.runsFinished - finishedBefore);
  double total = static_cast<double>(comparison.runsTotal - finishedBefore);
  for (const std::unique_ptr<Open> &one : open)
    done += share(*one);
  double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  ProgressState state{summary.step,
                      run.options.steps,
                      summary.trainLoss,
                      summary.tokensPerSecond,
                      elapsed / std::max(done, 1e-9) * (total - done),
                      "step",
                      concat(comparison.models[run.model].name, ", seed ", run.options.seed, ": ")};
  if (run.options.seconds) {
    state.unit = "second";
    state.step = static_cast<int64_t>(run.run->seconds());
    state.steps = static_cast<int64_t>(std::ceil(*run.options.seconds));
  }
  progress.update(state);
}

Status CompareRun::takeTurns(BudgetResult &budget, std::vector<std::unique_ptr<Open>> &open) {
  while (!open.empty() && !stopped())
    for (size_t i = 0; i < open.size() && !stopped();) {
      Open &one = *open[i];
      Status status = one.run->advance(kTurn);
      showProgress(one, open);
      if (status.ok() && !one.run->finished()) {
        ++i;
        continue;
      }
      if (status.ok())
        status = finish(budget, one);
      // Learning rates that one model cannot take are a result, as a loss is.
      if (!status.ok() && one.run->diverged())
        status = fail(budget, one, status);
      PEER_TRY(status);
      if (!stopped())
        open.erase(open.begin() + static_cast<ptrdiff_t>(i)); // and its model is out of memory
    }
  return {};
}

Status CompareRun::runSet(BudgetResult &budget, uint64_t seed, const std::vector<size_t> &models) {
  std::vector<std::unique_ptr<Open>> opened;
  for (size_t model : models) {
    bool there = std::any_of(budget.runs[model].begin(), budget.runs[model].end(),
                             [&](const SeedResult &run) { return run.seed == seed; });
    if (there)
      continue;
    PEER_TRY_ASSIGN(std::unique_ptr<Open> one, open(budget, seed, model));
    opened.push_back(std::move(one));
  }
  if (opened.empty())
    return {};
  Status status = takeTurns(budget, opened);
  stopping = !status.ok();
  // Those that were stopped save what they have.
  for (std::unique_ptr<Open> &one : opened)
    if (!one->run->finished())
      if (Result<TrainSummary> saved = one->run->conclude(); !saved.ok() && status.ok())
        status = saved.status();
  return status;
}

/// What runs before left.
Status CompareRun::loadResults() {
  for (BudgetResult &budget : comparison.budgets)
    for (size_t model = 0; model < options.models.size(); ++model)
      for (int64_t i = 0; i < options.seeds; ++i) {
        uint64_t seed = options.common.seed + static_cast<uint64_t>(i);
        std::string path = (fs::path(runDirectory(budget, seed, model)) / kResult).string();
        if (std::error_code ignored; !fs::exists(path, ignored))
          continue;
        PEER_TRY_ASSIGN(std::string json, readFile(path));
        std::optional<SeedResult> result = parseResult(json);
        if (!result || result->seed != seed)
          return Status::error(path, " is damaged: expected the result of a run with seed ", seed,
                               "; without the file the run is made again");
        budget.runs[model].push_back(std::move(*result));
        ++comparison.runsFinished;
      }
  finishedBefore = comparison.runsFinished;
  if (finishedBefore > 0)
    progress.say(concat(finishedBefore, " of ", comparison.runsTotal, " runs are finished already"));
  return {};
}

Result<Comparison> CompareRun::run() {
  PEER_TRY(begin());
  size_t count = options.models.size();
  comparison.seeds = options.seeds;
  if (options.steps)
    comparison.budgets.push_back({options.steps, {}, std::vector<std::vector<SeedResult>>(count)});
  if (options.seconds)
    comparison.budgets.push_back({{}, options.seconds, std::vector<std::vector<SeedResult>>(count)});
  comparison.runsTotal = static_cast<int64_t>(comparison.budgets.size() * count) * options.seeds;
  PEER_TRY(loadResults());
  start = Clock::now();

  std::vector<std::vector<size_t>> sets(options.oneByOne ? count : 1);
  for (size_t model = 0; model < count; ++model)
    sets[options.oneByOne ? model : 0].push_back(model);
  for (BudgetResult &budget : comparison.budgets)
    for (int64_t i = 0; i < options.seeds && !stopped(); ++i) {
      for (const std::vector<size_t> &set : sets)
        if (!stopped())
          PEER_TRY(runSet(budget, options.common.seed + static_cast<uint64_t>(i), set));
      if (control.show)
        PEER_TRY(control.show(comparison));
    }
  progress.finish();
  return comparison;
}

Result<Comparison> compareModels(const CompareOptions &options, Progress &progress, const CompareControl &control) {
  return CompareRun(options, progress, control).run();
}

} // namespace peer::runtime
