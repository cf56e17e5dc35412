// One comparison: what is opened and checked before it is in CompareStart.cpp, its runs are in Compare.cpp.
#pragma once

#include "Compare.h"
#include "lm/training/RunLock.h"
#include "lm/training/TrainRun.h"

namespace peer::runtime {

class CompareRun {
public:
  CompareRun(const CompareOptions &options, Progress &progress, const CompareControl &control)
      : options(options), progress(progress), control(control) {}

  Result<Comparison> run();

private:
  using Clock = std::chrono::steady_clock;
  /// A run that has a model in memory.
  struct Open {
    size_t model;
    TrainOptions options;
    TrainControl control;
    Progress silent;
    std::unique_ptr<TrainRun> run;
  };

  Status checkModels();
  Status checkModel(const ComparedModel &model);
  Status checkPlace();
  Status openData();
  Status begin();
  Status checkSettings(const std::string &path) const;
  std::string settingsJson() const;
  void describeSettings();

  /// The runs of some models with one seed and budget, by turns.
  Status runSet(BudgetResult &budget, uint64_t seed, const std::vector<size_t> &models);
  Status takeTurns(BudgetResult &budget, std::vector<std::unique_ptr<Open>> &open);
  Result<std::unique_ptr<Open>> open(const BudgetResult &budget, uint64_t seed, size_t model);
  Status finish(BudgetResult &budget, Open &run);
  Status fail(BudgetResult &budget, Open &run, const Status &failure);
  Status record(BudgetResult &budget, const Open &run, SeedResult result);
  Status addCurve(SeedResult &result, const Open &run) const;
  /// The validation loss at the end of a run, without each token's best experts.
  Result<double> measureDisabled(const Open &run, const TrainSummary &summary) const;
  Status loadResults();
  std::string runDirectory(const BudgetResult &budget, uint64_t seed, size_t model) const;
  void showProgress(const Open &run, const std::vector<std::unique_ptr<Open>> &open);
  bool stopped() const { return stopping || (control.stop && control.stop()); }

  const CompareOptions &options;
  Progress &progress;
  const CompareControl &control;

  RunLock lock;
  TrainTexts texts;
  TextSplit split;
  std::vector<LanguageEntry> trainEntries; // of the manifests below
  std::vector<std::unique_ptr<Manifest>> manifests;
  std::vector<std::string> fingerprints;
  Comparison comparison;
  bool stopping = false; // an error ends all runs
  bool advised = false;  // what slows matrix products is said once
  int64_t finishedBefore = 0;
  Clock::time_point start;
};

} // namespace peer::runtime
