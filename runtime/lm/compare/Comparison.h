// What a comparison of models found: numbers of the models, and of one run for each model, budget and seed.
#pragma once

#include "lm/Log.h"
#include "model/Manifest.h"

#include <cmath>

namespace peer::runtime {

/// What one model is, whatever it learns.
struct ModelFacts {
  std::string name, file;
  double parameters = 0;
  /// Parameters that a token uses, at most; where the artifact says.
  std::optional<int64_t> active;
  /// Operations and bytes per token by the compiler's counts, in calls of the batch's size; where the artifact says. `loss` is the forward
  /// direction, `train` a whole step.
  struct Work {
    double flops = 0, bytes = 0;
  };
  std::optional<Work> loss, train;
  /// By optimizer group: the optimizer and the peak learning rate that was used.
  struct Rate {
    std::string group, optimizer;
    double rate = 0;
    bool lazy = false;
  };
  std::vector<Rate> rates;
  /// Why it cannot do without each token's best experts, where that was asked for.
  std::string notDisabled;
};

/// A validation on the way of a run.
struct CurvePoint {
  int64_t step = 0;
  double seconds = 0, loss = 0; // within steps since the start; nats per token
};

/// One run, at its end.
struct SeedResult {
  uint64_t seed = 0;
  int64_t steps = 0;
  double seconds = 0, tokensPerSecond = 0;
  double loss = 0; // of the validation text, with the weights at the end
  /// The same without each token's best experts.
  std::optional<double> disabledLoss;
  std::vector<LayerUsage> layers;
  std::vector<CurvePoint> curve;
  /// Why it ended early: its loss or gradients were not finite. Then the numbers above are not there.
  std::string failure;
};

/// All runs of one budget: either steps or seconds.
struct BudgetResult {
  std::optional<int64_t> steps;
  std::optional<double> seconds;
  /// By model, and then by seed; those that are finished.
  std::vector<std::vector<SeedResult>> runs;

  /// "150 steps", "60 seconds".
  std::string text() const;
};

struct Comparison {
  /// What all runs have in common, for people: name and value.
  std::vector<std::pair<std::string, std::string>> settings;
  int64_t seeds = 0;
  /// How many of each token's best experts losses were measured without, too; 0: they were not.
  int64_t disabledExperts = 0;
  double unigramEntropy = 0;
  std::vector<ModelFacts> models;
  std::vector<BudgetResult> budgets;
  /// Of all budgets, models and seeds.
  int64_t runsFinished = 0, runsTotal = 0;

  std::string toJson() const;
};

/// Mean and sample standard deviation of those of a model's runs that did not fail; the deviation of fewer than two is nothing.
struct Spread {
  size_t count = 0;
  double mean = 0;
  std::optional<double> deviation;
};
template <typename Metric>
Spread spreadOf(const std::vector<SeedResult> &runs, Metric metric) {
  Spread spread;
  double squares = 0;
  for (const SeedResult &run : runs)
    if (std::optional<double> value = metric(run); run.failure.empty() && value) {
      double delta = *value - spread.mean;
      spread.mean += delta / static_cast<double>(++spread.count);
      squares += delta * (*value - spread.mean);
    }
  if (spread.count > 1)
    spread.deviation = std::sqrt(squares / static_cast<double>(spread.count - 1));
  return spread;
}

/// The mean over seeds of each expert pool's usage and unevenness.
std::vector<LayerUsage> meanUsage(const std::vector<SeedResult> &runs);

/// What the manifest says of a model. `tokens` of a call are batch * context; `rates` are those of the groups that were used.
ModelFacts describeModel(const Manifest &manifest, const std::map<std::string, double> &rates, int64_t tokens);

/// A finished run as a file says it, so that a comparison that was stopped need not run it again.
std::string resultJson(const SeedResult &result);
std::optional<SeedResult> parseResult(const std::string &json);

} // namespace peer::runtime
