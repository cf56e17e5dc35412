// Trains several models alike, with several seeds each, and says what came of it.
#pragma once

#include "Comparison.h"
#include "lm/training/Train.h"

namespace peer::runtime {

/// A model to compare: what the user named, and the file to open.
struct ComparedModel {
  std::string model, artifact;
  /// The same without each token's best experts, or why there is none; both are empty where nobody asks.
  std::string disabledArtifact, notDisabled;
};

struct CompareOptions {
  std::vector<ComparedModel> models;
  /// What every run is trained with: data, batch, rates, schedule, device, first seed. Model, budget, seed and directory of a run come from here.
  TrainOptions common;
  /// At equal steps, at equal time, or both; then each is a set of runs, since rates fall to the end of a run's own budget.
  std::optional<int64_t> steps;
  std::optional<double> seconds;
  int64_t seeds = 3;
  /// How many of each token's best experts the loss is measured without, too, at the end of a run.
  int64_t disabledExperts = 0;
  /// One run after the other, with one model in memory, in place of all models of a seed by turns.
  bool oneByOne = false;
  bool resume = false;
  std::string out;
};

/// What reaches a comparison from outside, and where it shows what it has.
struct CompareControl {
  std::function<bool()> stop;
  /// Writes what is known so far; called after each set of runs.
  std::function<Status(const Comparison &)> show;
};

/// Names of a comparison's files in its directory.
inline constexpr const char *kCompareSettings = "settings.json", *kCompareJson = "compare.json",
                            *kCompareText = "compare.md", *kCompareHtml = "compare.html";

/// Runs what of the comparison is not there yet. Everything that can be wrong with the input is found before anything is written. Runs that are
/// finished are kept whatever happens later; with `resume` the others go on from their checkpoints. Where it was stopped, fewer runs are finished than
/// there are in total.
Result<Comparison> compareModels(const CompareOptions &options, Progress &progress, const CompareControl &control);

} // namespace peer::runtime
