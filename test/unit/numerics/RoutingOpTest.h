// Routing ops, one or a few at a time: a function written from the shapes of its inputs, compiled every way and compared.
#pragma once

#include "NNOpTest.h"
#include "RoutingReference.h"

namespace peer::numerics {

/// A result of the tested function: an SSA value, its expected values and element type. An expected i32 of not-a-number is unspecified.
struct Result {
  std::string value;
  Array expected;
  bool tokens = false;
  std::string element = "f32";
  double tolerance = 4e-6;
};

/// Code and whether the token dimension is dynamic (then ops are tiled).
class RoutingOpTest : public ::testing::TestWithParam<std::tuple<Code, bool>> {
protected:
  Code code() const { return std::get<0>(GetParam()); }
  bool dynamic() const { return std::get<1>(GetParam()); }
  /// More of peer-opt's, when code is compiled.
  std::string flags;

  /// A tensor type; with `tokens` the first dimension is `?` where this test's sizes are dynamic.
  std::string type(std::vector<int64_t> shape, bool tokens = false, const std::string &element = "f32") const;
  std::string type(const Input &input) const { return type(input.array.shape, input.tokens, input.element); }

  /// Compiles a function @f of the inputs with this body and checks its results. Where sizes are dynamic, also that the
  /// function runs on no tokens.
  runtime::TensorMap check(const std::vector<Input> &inputs, const std::string &body,
                           const std::vector<Result> &results);
};

/// Values as a bf16 holds them.
Array roundToBF16(Array array);

#define INSTANTIATE_ROUTING_OPS(SUITE) INSTANTIATE_NN_OPS(SUITE)

} // namespace peer::numerics
