// One training run: its parts are in Train.cpp (the loop), TrainStart.cpp (what is opened and checked before) and TrainSave.cpp.
#pragma once

#include "../DataEntry.h"
#include "../Session.h"
#include "Train.h"

#include <chrono>

namespace peer::runtime {

/// One run from opening its model to its report. Everything that can be wrong with the input is found before anything is written.
class TrainRun {
public:
  TrainRun(const TrainOptions &options, Progress &progress, const std::function<bool()> &interrupted)
      : options(options), progress(progress), interrupted(interrupted) {}

  Result<TrainSummary> run();

private:
  using Clock = std::chrono::steady_clock;
  /// Without --save-every: rarely enough for tables of gigabytes, often enough that a crash costs little.
  static constexpr std::chrono::minutes kSaveInterval{10};
  /// About how many steps back the displayed loss and throughput reach.
  static constexpr double kDisplayMemory = 30.0;

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

} // namespace peer::runtime
