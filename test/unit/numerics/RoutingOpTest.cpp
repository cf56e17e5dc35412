#include "RoutingOpTest.h"

#include <bit>
#include <cmath>

namespace peer::numerics {

using namespace runtime;

std::string RoutingOpTest::type(std::vector<int64_t> shape, bool tokens, const std::string &element) const {
  std::string text = "tensor<";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 && tokens && dynamic() ? "?" : std::to_string(shape[i])) + "x";
  return text + element + ">";
}

Array roundToBF16(Array array) {
  for (double &value : array.values)
    value = std::bit_cast<float>(std::bit_cast<uint32_t>(static_cast<float>(value)) & 0xffff0000u);
  return array;
}

TensorMap RoutingOpTest::check(const std::vector<Input> &inputs, const std::string &body,
                               const std::vector<Result> &results) {
  std::string arguments, returned, returnedTypes, resultTypes;
  auto separate = [](std::string &list) -> std::string & { return list.empty() ? list : list += ", "; };
  for (const Input &input : inputs)
    separate(arguments) += "%" + input.name + ": " + type(input) + " {peer.name = \"" + input.name + "\"}";
  for (const Result &result : results) {
    std::string text = type(result.expected.shape, result.tokens, result.element);
    separate(returned) += result.value;
    separate(returnedTypes) += text;
    separate(resultTypes) += text + " {peer.name = \"" + result.value.substr(1) + "\"}";
  }
  auto compiled = Compiled::compile("func.func @f(" + arguments + ") -> (" + resultTypes + ") {\n" + body +
                                        "\n  return " + returned + " : " + returnedTypes + "\n}\n",
                                    code(), flags);
  if (!compiled)
    return {};
  auto call = [&](bool empty) {
    TensorMap tensors;
    ScalarMap scalars;
    for (const Input &input : inputs) {
      Array array = input.array;
      if (empty && input.tokens)
        array.shape[0] = 0, array.values.clear();
      if ((*compiled->session().entry("f"))->findArgument(input.name)->role == Role::Scalar)
        scalars[input.name] = array.values[0];
      else
        tensors.emplace(input.name, toTensor(array, input.element));
    }
    return compiled->call("f", tensors, scalars);
  };
  if (dynamic()) {
    TensorMap none = call(true);
    EXPECT_EQ(none.size(), results.size()) << "without tokens";
    for (const Result &result : results)
      if (auto found = none.find(result.value.substr(1)); found != none.end() && result.tokens) {
        Shape shape = result.expected.shape;
        shape[0] = 0;
        EXPECT_TRUE(compiled->agrees(none, found->first, shape, {}, 0)) << "without tokens";
      }
  }
  TensorMap actual = call(false);
  for (const Result &result : results)
    if (!actual.empty())
      EXPECT_TRUE(compiled->agrees(actual, result.value.substr(1), result.expected.shape, result.expected.values,
                                   result.tolerance));
  return actual;
}

} // namespace peer::numerics
