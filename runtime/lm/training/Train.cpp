// The training loop.

#include "Train.h"

#include "TrainRun.h"
#include "artifact/format.h"
#include "core/Hash.h"
#include "device/cpu/Blas.h"

#include <cmath>

namespace peer::runtime {
namespace {

template <typename TimePoint>
double secondsSince(TimePoint start) {
  return std::chrono::duration<double>(TimePoint::clock::now() - start).count();
}

/// Another number of 32 bits for each micro-batch of each step: a run that is resumed drops what an uninterrupted one would.
int32_t dropoutSeed(uint64_t seed, int64_t step, int64_t number) {
  uint64_t mixed = fnv1a(format::name::kDropoutSeed, sizeof(format::name::kDropoutSeed));
  for (uint64_t part : {seed, static_cast<uint64_t>(step), static_cast<uint64_t>(number)})
    mixed = mix64(mixed ^ part);
  return static_cast<int32_t>(static_cast<uint32_t>(mixed >> 32));
}

} // namespace

Result<TensorMap> TrainRun::callStep(int64_t step, ScalarMap &scalars) {
  auto draw = [&](int64_t number, ScalarMap &drawn) {
    drawWindows(split.train, trainModel.context, settings.seed, step, inputs.at("tokens").as<int32_t>(),
                inputs.at("targets").as<int32_t>(), {number, settings.accumulate});
    if (auto seed = drawn.find(format::name::kDropoutSeed); seed != drawn.end())
      seed->second = dropoutSeed(settings.seed, step, number);
  };
  if (accumulation)
    return accumulation->step(*session, inputs, scalars, draw);
  draw(0, scalars);
  return session->call(*trainModel.entry, inputs, scalars);
}

Result<StepRecord> TrainRun::runStep(int64_t step) {
  Clock::time_point begin = Clock::now();
  StepRecord record;
  record.step = step;
  auto factor = [&](const std::string &group) {
    Schedule schedule = settings.scheduleOf(group);
    return options.seconds ? schedule.factorAt(step, trainedSeconds / *options.seconds) : schedule.factor(step);
  };
  ScalarMap scalars = session->defaultScalars(*trainModel.entry);
  for (const auto &[group, rate] : settings.learningRates)
    if (auto scalar = scalars.find(format::name::kLearningRateOf + group); scalar != scalars.end())
      record.learningRates[group] = scalar->second = rate * factor(group);
  if (auto scalar = scalars.find(format::name::kStep); scalar != scalars.end())
    scalar->second = static_cast<double>(step);

  stateIsGood = false; // until the step is known to have gone well
  if (StepProfile *profile = control.profile) {
    profile->beginStep(step);
    session->timeKernels([profile](const CallTimes &call) { profile->add(call); });
  }
  Result<TensorMap> called = callStep(step, scalars);
  session->timeKernels({});
  if (!called.ok())
    return called.status();
  if (control.profile)
    control.profile->endStep();
  const TensorMap &results = *called;
  record.loss = results.at(format::name::kLoss).as<float>()[0];
  if (!std::isfinite(record.loss))
    return notFinite("loss", record.loss, step);
  constexpr std::string_view kNorm = format::name::kGradientNormOf;
  for (const auto &[name, tensor] : results) {
    if (!name.starts_with(kNorm) || tensor.dtype() != DType::F32 || tensor.elements() != 1)
      continue;
    double norm = record.gradientNorms[name.substr(kNorm.size())] = tensor.as<float>()[0];
    if (!std::isfinite(norm))
      return notFinite(concat("gradient norm of group '", name.substr(kNorm.size()), "'"), norm, step);
  }
  // Groups whose norm is not computed say only whether they had one.
  constexpr std::string_view kFault = format::name::kGradientFaultOf;
  for (const auto &[name, tensor] : results)
    if (name.starts_with(kFault) && !std::isfinite(tensor.as<float>()[0]))
      return notFinite(concat("gradient of group '", name.substr(kFault.size()), "'"), tensor.as<float>()[0], step);
  double seconds = secondsSince(begin);
  record.tokensPerSecond = static_cast<double>(settings.tokensPerStep()) / std::max(seconds, 1e-9);
  loss.add(record.loss);
  stepSeconds.add(seconds);
  trainedSeconds += seconds;
  return record;
}

Status TrainRun::notFinite(const std::string &what, double value, int64_t step) {
  vetoed = !settings.trainFingerprint.empty();
  notANumber = true;
  // The next steps of a checkpoint are the same ones again, whatever the rate.
  bool again = start > 0 && step == start + 1;
  return Status::error("the ", what, " is ", value, " at step ", step, ": training stopped, ",
                       again ? "an older checkpoint or a new run with a lower learning rate may help"
                             : "a lower learning rate may help");
}

void TrainRun::updateSummary() {
  summary.trainLoss = loss.value();
  summary.tokensPerSecond = static_cast<double>(settings.tokensPerStep()) / std::max(stepSeconds.value(), 1e-9);
}

void TrainRun::showProgress(bool always) {
  updateSummary();
  double done = static_cast<double>(std::max<int64_t>(summary.step - start, 1));
  double left = secondsSince(loopStart) / done * static_cast<double>(settings.steps - summary.step);
  progress.update({summary.step, settings.steps, summary.trainLoss, summary.tokensPerSecond, left}, always);
}

Status TrainRun::loop(double slice) {
  if (start > 0 && summary.step == start && evaluationDue(start) && lastLoggedEvaluation < start)
    PEER_TRY(evaluate()); // the run was stopped between its save and its evaluation
  double until = trainedSeconds + slice;
  for (bool first = true; !finished() && !interrupted() && (first || trainedSeconds < until); first = false) {
    PEER_TRY_ASSIGN(StepRecord record, runStep(summary.step + 1));
    summary.step = record.step;
    stateIsGood = true;
    PEER_TRY(log->append(record));
    bool last = finished();
    showProgress(last || summary.step == start + 1);
    if (!interrupted() && (last || evaluationDue(summary.step)))
      PEER_TRY(evaluate());
    bool asked = control.save && control.save();
    if (last || asked || interrupted() || saveDue(summary.step))
      PEER_TRY(save());
  }
  return {};
}

Status TrainRun::end() {
  // A signal that arrives between the questions above ends the loop without a save.
  if (lastSaved != summary.step && summary.step > 0)
    PEER_TRY(save());
  // A run that was resumed at its end has no evaluation in this process yet.
  if (!interrupted() && lastEvaluated != summary.step)
    PEER_TRY(evaluate());
  summary.interrupted = interrupted();
  return {};
}

Status TrainRun::advance(double slice) { return saveAfter(loop(slice)); }

Result<TrainSummary> TrainRun::conclude() {
  PEER_TRY(saveAfter(end()));
  return summary;
}

Status TrainRun::begin() {
  PEER_TRY(checkPlace());
  PEER_TRY(openModel());
  PEER_TRY(openData());
  PEER_TRY(options.resume ? resume() : startOver());
  if (!lock.warning().empty())
    progress.say(lock.warning());
  progress.say(concat("reading ", options.data, ": ", texts.data->summary(),
                      texts.recorded && !texts.data->files.front().name.empty() ? ", as when the run began" : ""));
  if (!options.evalData.empty())
    progress.say(concat("validating on ", options.evalData, ": ", texts.evalData->summary()));
  if (std::string advice = blasAdvice(); !advice.empty())
    progress.say(advice);
  if (accumulation)
    progress.say(concat("each step sums the gradients of ", settings.accumulate, " micro-batches of ", settings.batch,
                        settings.batch == 1 ? " sequence" : " sequences",
                        accumulation->hasBatchNorms(session->manifest())
                            ? "; batch norms take the statistics of one micro-batch at a time"
                            : ""));

  stateIsGood = true;
  loopStart = lastSave = Clock::now();
  return {};
}

Result<TrainSummary> train(const TrainOptions &options, Progress &progress, const TrainControl &control) {
  TrainRun run(options, progress, control);
  PEER_TRY(run.begin());
  PEER_TRY(run.advance(std::numeric_limits<double>::infinity()));
  Result<TrainSummary> summary = run.conclude();
  if (summary.ok())
    progress.finish();
  return summary;
}

} // namespace peer::runtime
