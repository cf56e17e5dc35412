#include "Benchmark.h"

#include "Inputs.h"
#include "device/Profile.h"
#include "model/Random.h"
#include "session/Bench.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace peer::gpucheck {

using namespace runtime;

namespace {
constexpr int kWarmUps = 3, kRounds = 5;
constexpr uint64_t kSeed = 1;
/// Calls that follow each other must not find each other's rows in the cache; large ones drive them out themselves.
constexpr int kManyInputs = 20, kFewInputs = 2;
constexpr int64_t kManyTokens = 64;

class Measurement {
public:
  Measurement(const Json &spec, const BenchmarkOptions &options) : spec(spec), options(options) {}

  Status open() {
    PEER_TRY_ASSIGN(session, Session::open(options.folder + "/" + spec["artifact"].get<std::string>(), options.device));
    PEER_TRY_ASSIGN(entry, session->entry(spec["entry"].get<std::string>()));
    PEER_TRY(session->prepare(*entry));
    PEER_TRY(session->initParameters(kSeed));
    PEER_TRY(fillQuantized(session->parameters(), kSeed));
    scalars = session->defaultScalars(*entry);
    int64_t tokens = spec["tokens"];
    int sets = tokens <= kManyTokens ? kManyInputs : kFewInputs;
    for (int set = 0; set < sets; ++set) {
      PEER_TRY_ASSIGN(TensorMap made, benchmarkInputs(*entry, tokens, spec["experts"], spec.value("zipf", 0.0),
                                                      kSeed + static_cast<uint64_t>(set)));
      inputs.push_back(std::move(made));
    }
    return {};
  }

  /// Warms up; checks results where there is a reference.
  Status warmUp(Json &result) {
    // What compiled code holds is counted in a call of its host code, and the same in each.
    session->resetPeak();
    for (int call = 0; call < kWarmUps; ++call) {
      PEER_TRY_ASSIGN(TensorMap results, session->call(*entry, inputs[0], scalars));
      if (call + 1 == kWarmUps && results.contains("y")) {
        PEER_TRY_ASSIGN(double error, errorOfTokens(*session, spec, inputs[0], results));
        result["error"] = error;
        result["tolerance"] = spec["tolerance"];
      }
    }
    result["peak_bytes"] = session->peakBytes();
    return {};
  }

  /// Device times in microseconds of whole calls; host times beside them.
  Status time(int calls, std::vector<double> &device, std::vector<double> &host) {
    for (int call = 0; call < calls; ++call) {
      int64_t start = nowNanoseconds();
      ProfileRecording recording(ProfileGrain::Calls);
      PEER_TRY_ASSIGN(TensorMap results, session->call(*entry, inputs[next++ % inputs.size()], scalars));
      host.push_back(static_cast<double>(nowNanoseconds() - start) * 1e-3);
      device.push_back(static_cast<double>(recording.marks[1].nanoseconds - recording.marks[0].nanoseconds) * 1e-3);
    }
    return {};
  }

  /// Medians over `calls` calls of each of the entry's kernels.
  Status timeKernels(int calls, Json &result) {
    std::vector<std::vector<double>> times(entry->kernels.size());
    for (int call = 0; call < calls; ++call) {
      ProfileRecording recording;
      PEER_TRY_ASSIGN(TensorMap results, session->call(*entry, inputs[next++ % inputs.size()], scalars));
      std::vector<double> sums(times.size());
      for (size_t i = 0; i + 1 < recording.marks.size(); ++i)
        if (int64_t kernel = recording.marks[i].kernel; kernel >= 0 && static_cast<size_t>(kernel) < sums.size())
          sums[static_cast<size_t>(kernel)] +=
              static_cast<double>(recording.marks[i + 1].nanoseconds - recording.marks[i].nanoseconds) * 1e-3;
      for (size_t kernel = 0; kernel < sums.size(); ++kernel)
        times[kernel].push_back(sums[kernel]);
    }
    for (size_t kernel = 0; kernel < times.size(); ++kernel)
      result["kernels"].push_back({{"name", entry->kernels[kernel].name},
                                   {"us", quantile(times[kernel], 0.5)},
                                   {"bytes", entry->kernels[kernel].bytesAt(spec["tokens"])}});
    return {};
  }

  Result<double> copyBandwidth() { return session->device().measureBandwidth(); }

private:
  const Json &spec;
  const BenchmarkOptions &options;
  std::unique_ptr<Session> session;
  const Entry *entry = nullptr;
  ScalarMap scalars;
  std::vector<TensorMap> inputs;
  size_t next = 0;
};

/// Time and bytes of what follows the loss's gradient: the layer's backward and the optimizer. Bytes are those of the expert rows alone.
void addBackward(Json &result) {
  double us = 0, bytes = 0;
  bool backward = false;
  for (const Json &kernel : result["kernels"]) {
    std::string name = kernel["name"];
    if (backward)
      us += kernel["us"].get<double>();
    if (backward && (name.starts_with("mix_grad") || name.starts_with("row_update")))
      bytes += kernel["bytes"].get<double>();
    backward = backward || name.starts_with("cross_entropy_grad");
  }
  result["backward_us"] = us;
  result["gb_per_s"] = us > 0 ? bytes / us * 1e-3 : 0;
}

/// The figure that the target is about.
double valueOf(const Json &result, const std::string &metric, double tokens) {
  if (metric == "percent of copy")
    return result.value("percent_of_copy", 0.0);
  if (metric == "ns/token")
    return result["us"].get<double>() * 1e3 / tokens;
  return metric == "bytes" ? result["peak_bytes"].get<double>() : result["us"].get<double>();
}

Status measure(const Json &spec, const BenchmarkOptions &options, Json &result) {
  Measurement measurement(spec, options);
  PEER_TRY(measurement.open());
  PEER_TRY(measurement.warmUp(result));
  std::string metric = spec["metric"];
  double tokens = spec["tokens"];
  if (metric != "bytes") {
    std::optional<TorchSide> torch;
    if (!options.python.empty() && spec["torch"].get<bool>())
      torch.emplace(options.python, options.folder + "/torch_side.py", spec);
    std::vector<double> device, host;
    // The two sides take turns, so that a clock that changes meets both.
    for (int round = 0; round < kRounds; ++round) {
      PEER_TRY(measurement.time((options.repeats + kRounds - 1) / kRounds, device, host));
      if (torch)
        torch->measure(options.repeats);
    }
    result["us"] = quantile(device, 0.5);
    result["min_us"] = std::ranges::min(device);
    result["host_us"] = quantile(host, 0.5);
    if (torch)
      result["torch"] = torch->figures();
  } else if (!options.python.empty()) {
    TorchSide torch(options.python, options.folder + "/torch_side.py", spec);
    torch.measure(1);
    result["torch"] = torch.figures();
  }
  if (spec["kind"] == "mix")
    result["gb_per_s"] = spec["row_bytes"].get<double>() * tokens / result["us"].get<double>() * 1e-3;
  if (metric == "percent of copy" && spec["kind"] == "train") {
    PEER_TRY(measurement.timeKernels(options.repeats, result));
    addBackward(result);
  }
  if (options.judge && result.contains("gb_per_s")) {
    PEER_TRY_ASSIGN(double copy, measurement.copyBandwidth());
    result["copy_gb_per_s"] = copy;
    result["percent_of_copy"] = 100 * result["gb_per_s"].get<double>() / copy;
  }
  return {};
}

/// A wrong result fails whatever its time.
void judge(const Json &spec, const BenchmarkOptions &options, Json &result) {
  if (result.contains("error") && !(result["error"].get<double>() <= spec["tolerance"].get<double>())) {
    result["message"] = concat("the result is wrong: error ", result["error"].get<double>(), ", tolerance ",
                               spec["tolerance"].get<double>());
    return;
  }
  std::string metric = spec["metric"];
  result["status"] = "measured";
  // Memory is the same in the simulator.
  if ((!options.judge && metric != "bytes") || metric == "times")
    return;
  double value = valueOf(result, metric, spec["tokens"]), target = spec["target"];
  bool met = metric == "percent of copy" ? value >= target : value <= target;
  result["value"] = value;
  result["unit"] = metric;
  result["target"] = target;
  result["status"] = met ? "pass" : "fail";
  if (!met)
    result["message"] = "the target is not met";
}
} // namespace

Json runBenchmark(const Json &spec, const BenchmarkOptions &options) {
  Json result = {{"id", spec["id"]}, {"name", spec["name"]}, {"tokens", spec["tokens"]}, {"status", "fail"}};
  if (Status status = measure(spec, options, result); status.ok())
    judge(spec, options, result);
  else
    result["message"] = status.message();
  // A process of its own for each: what one of them holds on the GPU is free again for the next.
  result["fatal"] = true;
  return result;
}

void judgeRatio(const Json &spec, const Json &others, bool judge, Json &result) {
  auto beside = std::ranges::find_if(
      others, [&](const Json &other) { return other["name"] == spec["beside"] && other.contains("us"); });
  if (spec["metric"] != "times" || beside == others.end() || !result.contains("us"))
    return;
  double value = (*beside)["us"].get<double>() / result["us"].get<double>(), target = spec["target"];
  result["value"] = value;
  result["unit"] = "times";
  if (!judge || result["status"] == "fail")
    return;
  result["target"] = target;
  result["status"] = value >= target ? "pass" : "fail";
  if (value < target)
    result["message"] = "the target is not met";
}

} // namespace peer::gpucheck
