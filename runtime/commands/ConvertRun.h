// A conversion from what is read to what is written; runtime/convert/ says what conversions are.
#pragma once

#include "core/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace peer::runtime {

struct ConvertOptions {
  std::string pass, model, weights, data, out, plugin;
  std::map<std::string, std::string> settings; // of the pass, by names of conversionOptions()
  std::vector<std::string> layers, pluginSettings;
  uint64_t seed = 0;
  int64_t batch = 8, evalTokens = 65536, calibrationTokens = 8192;
};

/// What a model is and does.
struct Measurement {
  int64_t parameters = 0, active = 0, bytes = 0, tokens = 0;
  double loss = 0; // nats per token
};

/// The loss with so many groups of hidden units, or experts, chosen as they are and by chance.
struct CurvePoint {
  int64_t count = 0;
  double share = 0, loss = 0, lossOfRandom = 0;
};

struct ConvertReport {
  Measurement before, after;
  std::vector<std::string> layers; // a sentence for each
  std::vector<CurvePoint> curve;   // of moefy and prune-experts
};

/// Reads, converts, measures and writes. On an error nothing is left behind.
Result<ConvertReport> convert(const ConvertOptions &options, const std::string &device);

} // namespace peer::runtime
