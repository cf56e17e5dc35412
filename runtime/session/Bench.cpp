#include "Bench.h"

#include "device/Profile.h"
#include "model/Random.h"

#include <algorithm>

namespace peer::runtime {

double quantile(std::vector<double> values, double share) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  double place = share * static_cast<double>(values.size() - 1);
  size_t below = static_cast<size_t>(place), above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

namespace {
double medianOf(const std::vector<double> &values) { return quantile(values, 0.5); }

double minimumOf(const std::vector<double> &values) {
  return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

/// Time per kernel of one call: each mark ends the kernel before it.
std::vector<double> kernelTimes(const std::vector<ProfileMark> &marks, int64_t end, size_t kernels) {
  std::vector<double> us(kernels, 0.0);
  for (size_t i = 0; i < marks.size(); ++i) {
    int64_t kernel = marks[i].kernel;
    int64_t stop = i + 1 < marks.size() ? marks[i + 1].nanoseconds : end;
    if (kernel >= 0 && static_cast<size_t>(kernel) < kernels)
      us[static_cast<size_t>(kernel)] += static_cast<double>(stop - marks[i].nanoseconds) * 1e-3;
  }
  return us;
}
} // namespace

Result<BenchResult> benchEntry(Session &session, const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars,
                               int64_t repeats) {
  BenchResult result;
  result.entry = entry.name;
  result.repeats = repeats;
  PEER_TRY_ASSIGN(result.tokens, session.checkInputs(entry, inputs));
  size_t kernels = entry.kernels.size();
  std::vector<double> totals;
  std::vector<std::vector<double>> perKernel(kernels);
  std::vector<ScoredKeys> scored(kernels);
  auto timed = [&](std::vector<double> *us) -> Status {
    int64_t start = nowNanoseconds();
    Result<TensorMap> outputs = session.call(entry, inputs, scalars);
    if (us)
      us->push_back(static_cast<double>(nowNanoseconds() - start) * 1e-3);
    return outputs.status();
  };
  session.resetPeak();
  Device &device = session.device();
  bool replays = device.replaysCalls();
  // A graph is recorded by the second call.
  for (int warmUps = replays ? 2 : 1; warmUps > 0; --warmUps)
    PEER_TRY(timed(nullptr));
  for (int64_t repeat = 0; replays && repeat < repeats; ++repeat)
    PEER_TRY(timed(&totals));
  for (int64_t repeat = 0; repeat < repeats; ++repeat) {
    ProfileRecording recording;
    PEER_TRY(timed(replays ? nullptr : &totals));
    std::vector<double> times = kernelTimes(recording.marks, nowNanoseconds(), kernels);
    for (size_t kernel = 0; kernel < kernels; ++kernel) {
      perKernel[kernel].push_back(times[kernel]);
      scored[kernel] = scoredKeysOf(static_cast<int64_t>(kernel));
    }
  }
  result.peakBytes = session.peakBytes();
  DeviceActivity activity = device.activity();
  result.device = concat(device.name(), " (", device.description(), ")");
  if (activity.seconds > 0)
    result.laneOperationsPerSecond = static_cast<double>(activity.laneOperations) / activity.seconds;
  result.medianUs = medianOf(totals);
  result.minUs = minimumOf(totals);
  for (size_t kernel = 0; kernel < kernels; ++kernel) {
    const KernelInfo &info = entry.kernels[kernel];
    result.kernels.push_back({info.name, medianOf(perKernel[kernel]), minimumOf(perKernel[kernel]),
                              info.bytesAt(result.tokens) + static_cast<double>(scored[kernel].bytes),
                              info.flopsAt(result.tokens), scored[kernel]});
  }
  if (result.laneOperationsPerSecond == 0) {
    PEER_TRY_ASSIGN(result.streamGbPerSecond, device.measureBandwidth());
  }
  return result;
}

Result<std::vector<TurnTimes>> benchInTurns(std::span<Session *const> sessions, std::string_view name,
                                            const TensorMap &inputs, int64_t rounds) {
  std::vector<TurnTimes> times(sessions.size());
  for (int64_t round = -1; round < rounds; ++round)
    for (size_t turn = 0; turn < sessions.size(); ++turn) {
      size_t which = (turn + static_cast<size_t>(round + 1)) % sessions.size();
      Session &session = *sessions[which];
      PEER_TRY_ASSIGN(const Entry *entry, session.entry(name));
      ProfileRecording recording;
      int64_t start = nowNanoseconds();
      PEER_TRY(session.call(*entry, inputs, session.defaultScalars(*entry)).status());
      int64_t end = nowNanoseconds();
      if (round < 0)
        continue;
      times[which].callsUs.push_back(static_cast<double>(end - start) * 1e-3);
      std::vector<double> each = kernelTimes(recording.marks, end, entry->kernels.size());
      for (size_t kernel = 0; kernel < each.size(); ++kernel) {
        std::vector<double> &sums = times[which].kernelsUs[entry->kernels[kernel].name];
        sums.resize(static_cast<size_t>(round) + 1);
        sums.back() += each[kernel];
      }
    }
  return times;
}

Result<TensorMap> randomInputs(const Entry &entry, int64_t tokens, uint64_t seed) {
  TensorMap inputs;
  for (const Argument &argument : entry.arguments) {
    if (argument.role != Role::Input)
      continue;
    Shape shape = argument.shape;
    std::replace(shape.begin(), shape.end(), kDynamic, tokens);
    PEER_TRY_ASSIGN(Tensor tensor,
                    Tensor::zeros(argument.dtype, std::move(shape), concat("input \"", argument.name, "\"")));
    RandomStream stream(seed, argument.name);
    if (isInteger(argument.dtype)) {
      std::array<int64_t, 2> range = argument.range.value_or(std::array<int64_t, 2>{0, 2});
      if (range[0] >= range[1])
        return Status::error("entry \"", entry.name, "\": input \"", argument.name, "\" has the empty range [",
                             range[0], ", ", range[1], ")");
      PEER_TRY(fillUniformIntegers(tensor, range[0], range[1], stream));
    } else {
      Init init;
      init.kind = Init::Kind::Normal;
      init.std = 1;
      PEER_TRY(fillRandom(tensor, init, stream));
    }
    inputs.emplace(argument.name, std::move(tensor));
  }
  return inputs;
}

} // namespace peer::runtime
