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

namespace {
/// |actual - expected| / (1 + |expected|), and 0 for equal infinities.
double errorOf(double actual, double expected) {
  if (actual == expected || (std::isnan(actual) && std::isnan(expected)))
    return 0;
  double error = std::abs(actual - expected) / (1 + std::abs(expected));
  return std::isnan(error) ? INFINITY : error;
}

double valueAt(const Tensor &tensor, size_t i) {
  if (tensor.dtype() == DType::BF16)
    return std::bit_cast<float>(static_cast<uint32_t>(tensor.as<uint16_t>()[i]) << 16);
  return tensor.dtype() == DType::I32 ? tensor.as<int32_t>()[i] : tensor.as<float>()[i];
}

void compare(const Tensor &actual, const Result &result) {
  ASSERT_EQ(actual.shape(), result.expected.shape) << result.value;
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < result.expected.values.size(); ++i)
    if (bool unspecified = result.element == "i32" && std::isnan(result.expected.values[i]); unspecified)
      continue;
    else if (double error = errorOf(valueAt(actual, i), result.expected.values[i]); error > worst)
      worst = error, at = i;
  double allowed = result.element == "i32" ? 0 : result.tolerance;
  EXPECT_LE(worst, allowed) << result.value << " at element " << at << ": got " << valueAt(actual, at) << ", expected "
                            << result.expected.values[at];
}
} // namespace

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
                                    code());
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
        EXPECT_EQ(found->second.elements(), 0);
        compiled->expect(found->first, found->second.shape(), {}, 0, found->second.dtype());
      }
  }
  TensorMap actual = call(false);
  for (const Result &result : results)
    if (auto found = actual.find(result.value.substr(1)); found != actual.end()) {
      compiled->expect(found->first, result.expected.shape, result.expected.values, result.tolerance,
                       result.element == "i32" ? DType::I32 : DType::F32);
      compare(found->second, result);
    }
  return actual;
}

} // namespace peer::numerics
