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

  Result<TrainSummary> run();

private:
  using Clock = std::chrono::steady_clock;
  /// Without --save-every: rarely enough for tables of gigabytes, often enough that a crash costs little.
  static constexpr std::chrono::minutes kSaveInterval{10};
  /// About how many steps back the displayed loss and throughput reach.
  static constexpr double kDisplayMemory = 30.0;

  Status checkPlace();
  Status openModel();
  Status openData();
  Status readTexts(bool again);
  Status openAccumulation();
  Status prepare();
  Status startOver();
  Status resume();
  Status restore(const CheckpointFile &from, const SafetensorsFile &file);
  Status loop();
  Result<StepRecord> runStep(int64_t step);
  Result<TensorMap> callStep(int64_t step, const ScalarMap &scalars);
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
  bool evaluationDue(int64_t step) const { return step % evalEvery == 0; }
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
  TextSource text, evalText;
  bool recordedFiles = false; // the text was read from the files that the run began with
  TextSplit split;
  TrainSettings settings;
  TensorMap inputs; // of one micro-batch
  std::optional<RunLog> log;

  TrainSummary summary;
  /// Parameters and states are those after summary.step: no step has begun that did not end well, and no loss said otherwise.
  bool stateIsGood = false;
  /// The last step was begun, and left everything as it was because its loss or gradients were not finite.
  bool vetoed = false;
  int64_t start = 0, evalEvery = 1, lastEvaluated = -1, lastLoggedEvaluation = -1, lastSaved = -1, lastTried = -1;
  int64_t lastChecked = -1;
  Clock::time_point loopStart, lastSave;
  Smoother loss{kDisplayMemory}, stepSeconds{kDisplayMemory};
};

} // namespace peer::runtime
