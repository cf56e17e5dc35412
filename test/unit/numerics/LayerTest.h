// A layer of examples/layers/ against its formula in double precision: its output, and every gradient against central differences.
#pragma once

#include "NNOpTest.h"

#include <map>

namespace peer::numerics {

using Parameters = std::map<std::string, Array>;

/// Inputs of a layer beside x, by name: i32 where `element` says so.
struct LayerInput {
  std::string name;
  Array array;
  std::string element = "f32";
};

/// examples/layers/NAME.mlir, its parameters initialised; null where that failed, which is told.
std::unique_ptr<Compiled> compileLayer(const std::string &name, Code code);

/// Holds a gradient against central differences of `loss` by elements of `array`, and is not content with nothing.
void expectGradient(const std::string &name, const Array &actual, Array &array, const std::function<double()> &loss);

/// `formula` maps the parameters and x, in `T x 64`, to y. Fails the running test where the layer does otherwise.
void checkLayer(const std::string &name, Code code, int64_t tokens, const std::vector<LayerInput> &others,
                const std::function<Array(const Parameters &, const Array &x)> &formula);

/// Each row's softmax.
Array softmax(const Array &logits);
/// The columns of a row by descending value.
std::vector<int64_t> rankedColumns(const Array &array, int64_t row);
/// y[t] += weights[t, e] * the experts' outputs, experts being `rows` rows of the pool each. Two vectors are relu's, or silu's where
/// `gated`; three are SwiGLU's.
void addExperts(const Array &x, const Array &weights, const Array &pool, int64_t rows, bool gated, Array &y);

} // namespace peer::numerics
