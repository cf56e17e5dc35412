// One benchmark: an entry of an artifact with inputs of a size, timed by the device's clock and judged by its target.
#pragma once

#include "Isolated.h"
#include "TorchSide.h"

namespace peer::gpucheck {

struct BenchmarkOptions {
  std::string folder, device;
  /// How often the entry is called for a figure.
  int repeats = 0;
  /// Whether times are judged: those of small sizes and of the simulator say nothing.
  bool judge = true;
  /// Python with PyTorch and CUDA; empty where there is none.
  std::string python;
};

/// Measures what `spec` (an element of benchmarks.json) describes: {"name", "status": "pass", "fail" or "measured", "us", ...}.
Json runBenchmark(const Json &spec, const BenchmarkOptions &options);

/// Judges one whose target is another's time, out of the results so far.
void judgeRatio(const Json &spec, const Json &others, bool judge, Json &result);

} // namespace peer::gpucheck
