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

/// The loss with so many groups of hidden units, experts, blocks or, of `matformer`, parameters, and of what they are compared with.
struct CurvePoint {
  int64_t count = 0;
  double share = 0;
  std::string what = {};                                   // as curveOf says
  std::vector<std::pair<std::string, double>> losses = {}; // by their names in report.json
};

struct ConvertReport {
  Measurement before, after;
  std::vector<std::string> layers;                                          // a sentence for each
  std::map<std::string, std::vector<std::pair<std::string, double>>> notes; // of layers, by their names
  std::string curveOf;
  std::vector<CurvePoint> curve;
};

/// Reads, converts, measures and writes. On an error nothing is left behind.
Result<ConvertReport> convert(const ConvertOptions &options, const std::string &device);

} // namespace peer::runtime
