// One training run: its parts are in Train.cpp (the loop), TrainStart.cpp (what is opened and checked before) and TrainSave.cpp.
#pragma once

#include "Accumulation.h"
#include "RunLock.h"
#include "Train.h"
#include "lm/Checkpoint.h"
#include "lm/DataEntry.h"

#include <chrono>

namespace peer::runtime {

/// One run from opening its model to its report. Everything that can be wrong with the input is found before anything is written.
class TrainRun {
public:
  TrainRun(const TrainOptions &options, Progress &progress, const TrainControl &control)
      : options(options), progress(progress), control(control) {}

  /// Opens and checks everything, takes up the run where it is resumed, and says what it reads.
  Status begin();
  /// Trains for about this many seconds, at least a step, or to the end of the run.
  Status advance(double slice);
  /// Whether the run has had its steps or its time.
  bool finished() const {
    return options.seconds ? trainedSeconds >= *options.seconds : summary.step >= settings.steps;
  }
  /// Whether an error was one of numbers that are not finite.
  bool diverged() const { return notANumber; }
  /// The save and the evaluation that a run ends with, finished or stopped.
  Result<TrainSummary> conclude();

  /// What a run that was begun is, and how it goes.
  const TrainSettings &currentSettings() const { return settings; }
  const TrainSummary &currentSummary() const { return summary; }
  /// Seconds within steps so far.
  double seconds() const { return trainedSeconds; }

private:
  using Clock = std::chrono::steady_clock;
  /// Without --save-every: rarely enough for tables of gigabytes, often enough that a crash costs little.
  static constexpr std::chrono::minutes kSaveInterval{10};
  /// About how many steps back the displayed loss and throughput reach.
  static constexpr double kDisplayMemory = 30.0;

  Status checkPlace();
  Status openModel();
  Status openData();
  Status openAccumulation();
  Status prepare();
  Status fillParameters();
  Status startOver();
  Status resume();
  Status restore(const CheckpointFile &from, const SafetensorsFile &file);
  Status loop(double slice);
  Status end();
  Result<StepRecord> runStep(int64_t step);
  Result<TensorMap> callStep(int64_t step, ScalarMap &scalars);
  Status notFinite(const std::string &what, double value, int64_t step);
  bool isGoodState();
  Status evaluate();
  Status saveBest(double validationLoss);
  Status checkFinite();
  Status save();
  Status saveAfter(Status failure);
  void updateSummary();
  void showProgress(bool always);
  bool interrupted() const { return control.stop && control.stop(); }
  /// Of a run that ends with a time evaluations are due as a tenth of it is over.
  int64_t tenthsAt(double seconds) const { return static_cast<int64_t>(10 * seconds / *options.seconds); }
  bool evaluationDue(int64_t step) const {
    return options.seconds ? tenthsAt(trainedSeconds) > tenthsAt(evaluatedSeconds) : step % evalEvery == 0;
  }
  bool leavesNumbersOnly() const { return options.leavesNumbers && finished() && !interrupted(); }
  bool saveDue(int64_t step) const {
    return options.saveEvery ? step % *options.saveEvery == 0 : Clock::now() - lastSave >= kSaveInterval;
  }

  const TrainOptions &options;
  Progress &progress;
  const TrainControl &control;

  RunLock lock;
  std::unique_ptr<Session> session;
  LanguageEntry trainModel, lossModel;
  std::optional<Accumulation> accumulation; // where a step has several micro-batches
  TrainTexts texts;
  TextSplit split;
  TrainSettings settings;
  TensorMap inputs; // of one micro-batch
  std::optional<RunLog> log;

  TrainSummary summary;
  /// Parameters and states are those after summary.step: no step has begun that did not end well, and no loss said otherwise.
  bool stateIsGood = false;
  /// The last step was begun, and left everything as it was because its loss or gradients were not finite.
  bool vetoed = false;
  bool notANumber = false;
  double trainedSeconds = 0, evaluatedSeconds = 0;
  int64_t start = 0, evalEvery = 1, lastEvaluated = -1, lastLoggedEvaluation = -1, lastSaved = -1, lastTried = -1;
  int64_t lastChecked = -1;
  Clock::time_point loopStart, lastSave;
  Smoother loss{kDisplayMemory}, stepSeconds{kDisplayMemory};
};

} // namespace peer::runtime
