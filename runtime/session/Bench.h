// Timing of compiled entries, beside the memory bandwidth that the same process can stream.
#pragma once

#include "Session.h"
#include "device/ScoredKeys.h"

namespace peer::runtime {

/// The value that a share of all lies below, between two of them where it must; 0.5: the median. 0 of none.
double quantile(std::vector<double> values, double share);

struct KernelTiming {
  std::string name;
  double medianUs = 0, minUs = 0; // per call
  double bytes = 0, flops = 0;    // per call, from the manifest, and bytes of the keys that a route scored in f32
  ScoredKeys scored;              // per call; the inputs are the same in each
  double gbPerSecond() const { return medianUs > 0 ? bytes / medianUs * 1e-3 : 0; }
  double gflopPerSecond() const { return medianUs > 0 ? flops / medianUs * 1e-3 : 0; }
};

struct BenchResult {
  std::string entry;
  int64_t tokens = 0;
  int64_t repeats = 0;
  double medianUs = 0, minUs = 0;
  double streamGbPerSecond =
      0; // of the memory that the entry's tensors are in; 0 in the simulator, whose times say nothing about memory
  uint64_t peakBytes = 0;             // most memory that compiled code held at once
  std::string device;                 // what calls ran on
  double laneOperationsPerSecond = 0; // of the simulator
  std::vector<KernelTiming> kernels;
};

/// Calls an entry to warm up, then `repeats` times with profiling on; on a device that replays graphs, the times of whole calls come from
/// `repeats` calls without, since a replay has no kernels of its own to time.
/// Kernel times within a call are summed by kernel; the median and minimum are over the calls.
Result<BenchResult> benchEntry(Session &session, const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars,
                               int64_t repeats);

/// Times of calls of one session, in microseconds; those of kernels summed by their names.
struct TurnTimes {
  std::vector<double> callsUs;
  std::map<std::string, std::vector<double>> kernelsUs;
};

/// Calls an entry of several sessions in turns: one call of each in a round, after one each to warm up, and each time another one begins. So what slows a
/// machine for a while slows all alike, and times of one round can be compared.
Result<std::vector<TurnTimes>> benchInTurns(std::span<Session *const> sessions, std::string_view entry,
                                            const TensorMap &inputs, int64_t rounds);

/// Inputs for an entry at T = tokens from a fixed seed: standard normal floats, integers uniform in the argument's range.
Result<TensorMap> randomInputs(const Entry &entry, int64_t tokens, uint64_t seed);

} // namespace peer::runtime
