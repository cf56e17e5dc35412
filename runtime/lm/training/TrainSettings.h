// The settings of a training run: what the command line, the manifest's defaults and the data come down to.
#pragma once

#include "TrainTexts.h"
#include "lm/Schedule.h"
#include "model/Manifest.h"

#include <map>

namespace peer::runtime {

/// What the user asks for. Values that are not given come from the manifest or a default.
struct TrainOptions {
  std::string model, data, evalData, out;
  /// A file of weights to begin with; empty: all parameters begin as the description says.
  std::string weights;
  /// The file to open, where `model` is the description that it was compiled from; empty: `model`.
  std::string artifact;
  /// cpu, cuda or sim; empty: what the model was compiled for.
  std::string device;
  int64_t steps = 0, batch = 8, accumulate = 1, warmup = 0;
  /// Trains for this long instead of `steps`: time within steps, over all parts of a run that was resumed.
  std::optional<double> seconds;
  uint64_t seed = 0;
  /// Of every group but `experts` and those in groupRates.
  std::optional<double> learningRate;
  std::map<std::string, double> groupRates;
  /// Of every group but those in groupSchedules and those whose optimizer has one in the description.
  ScheduleKind schedule = ScheduleKind::Constant;
  std::map<std::string, ScheduleKind> groupSchedules;
  /// Steps between evaluations; a tenth of the run if not given. Of a run that ends with a time it is always a tenth.
  std::optional<int64_t> evalEvery;
  /// Steps between checkpoints; if not given, one is written every ten minutes.
  std::optional<int64_t> saveEvery;
  /// At most this many tokens of the validation text per evaluation; 0 takes all.
  int64_t evalTokens = 65536;
  bool resume = false;
  /// One of many runs whose numbers matter: at its end it leaves the newest weights and its log, and neither checkpoints nor the best weights.
  bool leavesNumbers = false;
  /// The texts, where they are read already: one copy for many runs.
  std::optional<TrainTexts> texts;
};

/// The optimizer group that --expert-lr sets and a --lr without a group does not.
inline constexpr std::string_view kExpertGroup = "experts";

/// What a run is; stored in its checkpoints and at the top of its log.
struct TrainSettings {
  std::string model, data, evalData, weights;
  int64_t steps = 0, context = 0;
  double seconds = 0; // of a run that ends with a time
  /// Sequences of one call, and calls (micro-batches) of one step.
  int64_t batch = 0, accumulate = 1;
  uint64_t seed = 0;
  std::map<std::string, double> learningRates; // peak, by group
  Schedule schedule;
  std::map<std::string, ScheduleKind> groupSchedules; // of the groups that have one of their own
  uint64_t trainHash = 0, validationHash = 0;
  int64_t evalEvery = 0, evalTokens = 0, threads = 0;
  /// What it computes on: "cpu (x86-64-v3)", "cuda (sm_90)".
  std::string device;
  /// Of the entries loss and train (see Entry); empty where the artifact has none.
  std::string lossFingerprint, trainFingerprint;

  /// The schedule of a group.
  Schedule scheduleOf(const std::string &group) const;
  int64_t tokensPerStep() const { return batch * accumulate * context; }
  std::string toJson() const;
};

/// The peak learning rate of each group: its own where one is given, else --lr (but for the group `experts`), else what the
/// description says. Fails on a rate for a group that the model has not.
Result<std::map<std::string, double>> resolveLearningRates(const Manifest &manifest, const TrainOptions &options);

/// The schedules of the groups that have one of their own: by --schedule GROUP=KIND, else by the description. Fails on one for a group that the
/// model has not.
Result<std::map<std::string, ScheduleKind>> resolveSchedules(const Manifest &manifest, const TrainOptions &options);

/// Leaves out what `options` say of groups that the model has not.
void dropUnknownGroups(TrainOptions &options, const Manifest &manifest);

/// Checks that a run may go on from a checkpoint whose settings are `json`: seed, sequences per step, context, both texts and the model's loss must be the
/// same, or the result would not be that of an uninterrupted run. `path` is the checkpoint's. Returns a sentence for each setting that differs and may.
Result<std::vector<std::string>> compareRuns(const std::string &json, const TrainSettings &now,
                                             const std::string &path);

} // namespace peer::runtime
