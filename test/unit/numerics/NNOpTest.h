// One nn op at a time: its function is written from its inputs' shapes, compiled every way and compared.
#pragma once

#include "CompiledTest.h"
#include "NNReference.h"

#include <optional>

namespace peer::numerics {

using reference::Array;

struct Input {
  std::string name;
  Array array;
  /// The first dimension counts tokens: dynamic where the test's sizes are.
  bool tokens = false;
  std::string element = "f32";
};

struct Output {
  Array expected;
  bool tokens = false;
  /// What is expected without tokens, where that is not zero.
  std::optional<Array> withoutTokens = std::nullopt;
};

/// Code and whether the token dimension is dynamic (then the op is tiled).
class NNOpTest : public ::testing::TestWithParam<std::tuple<Code, bool>> {
protected:
  Code code() const { return std::get<0>(GetParam()); }
  bool dynamic() const { return std::get<1>(GetParam()); }

  /// Compiles `op %inputs attributes` and checks its outputs to within `tolerance` * (1 + |expected|); where the token
  /// dimension is dynamic, also that without tokens every output is empty or zero.
  void check(const std::string &op, const std::string &attributes, const std::vector<Input> &inputs,
             const std::vector<Output> &outputs, double tolerance = 3e-6);
};

/// A tensor of the element type with the array's values.
runtime::Tensor toTensor(const Array &array, const std::string &element = "f32");
/// The values of an f32 tensor.
Array toArray(const runtime::Tensor &tensor);

/// VectorsStatic, GpuDynamic, ...
std::string codeName(Code code, bool dynamic);

#define INSTANTIATE_NN_OPS(SUITE)                                                                                      \
  INSTANTIATE_TEST_SUITE_P(                                                                                            \
      , SUITE,                                                                                                         \
      ::testing::Combine(::testing::Values(Code::Vectors, Code::Loops, Code::Gpu, Code::GpuLoops), ::testing::Bool()), \
      [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); })

} // namespace peer::numerics
