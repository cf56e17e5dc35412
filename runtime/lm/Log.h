// The log of a run: one JSON object per line in DIR/log.jsonl.
//
//   {"run": {...}}                                                              once, at the top: the settings
//   {"step": 7, "loss": 3.1, "tokens_per_s": 5200, "lr": {GROUP: X}, "gradient_norm": {GROUP: X}}
//   {"step": 7, "eval_loss": 2.9, "perplexity": ..., "bits_per_byte": ..., "tokens": N, "layers": [{"name", "experts", "usage", "unevenness"}]}
#pragma once

#include "UsageMetrics.h"
#include "core/Status.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace peer::runtime {

/// One training step.
struct StepRecord {
  int64_t step = 0;
  double loss = 0.0; // nats per token
  double tokensPerSecond = 0.0;
  std::map<std::string, double> learningRates, gradientNorms; // by group
};

/// A layer's use of its experts over one evaluation.
struct LayerUsage {
  std::string name;
  int64_t experts = 0;
  UsageMetrics metrics;
};

/// One evaluation.
struct EvalRecord {
  int64_t step = 0;
  double loss = 0.0; // nats per token
  int64_t tokens = 0;
  std::vector<LayerUsage> layers;

  double perplexity() const;
  double bitsPerByte() const;
};

/// What a log holds.
struct RunHistory {
  std::vector<StepRecord> steps;
  std::vector<EvalRecord> evaluations;
};

/// The evaluation as a JSON object on one line: `loss`, `perplexity`, `bits_per_byte`, `tokens` and `layers`, and
/// `disabled_top_experts` where the model was measured without the best experts of each token.
std::string evalJson(const EvalRecord &record, int64_t disabledTopExperts = 0);

/// An open log. Each record reaches the file before append() returns, so a killed run has a log up to its last step.
class RunLog {
public:
  /// Starts a new log with the run's settings, a JSON object.
  static Result<RunLog> create(const std::string &path, const std::string &settingsJson);

  /// Opens the log of a run that is resumed after `step`: everything later, and a last line that was cut off, is removed.
  static Result<RunLog> resume(const std::string &path, int64_t step);

  RunLog(RunLog &&other) noexcept;
  RunLog &operator=(RunLog &&other) noexcept;
  ~RunLog();

  Status append(const StepRecord &record);
  Status append(const EvalRecord &record);

private:
  RunLog(std::string path, int descriptor) : path(std::move(path)), descriptor(descriptor) {}
  Status appendLine(std::string line);

  std::string path;
  int descriptor;
};

/// Reads a log; lines that are no records are passed over.
Result<RunHistory> readLog(const std::string &path);

/// An exponential moving average that reaches back less at its start, where losses fall fast, and is not pulled towards zero there.
class Smoother {
public:
  /// `memory`: about how many values back it reaches in the end.
  explicit Smoother(double memory) : memory(memory) {}
  void add(double value) { mean += (value - mean) / std::min(memory, 1.0 + count++ / 4.0); }
  double value() const { return mean; }

private:
  double memory, count = 0.0, mean = 0.0;
};

} // namespace peer::runtime
