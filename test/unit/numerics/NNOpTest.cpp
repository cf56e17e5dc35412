#include "NNOpTest.h"

#include "FP8Reference.h"

#include <algorithm>
#include <bit>

namespace peer::numerics {

using namespace runtime;

namespace {
uint16_t toBF16(double value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16);
}

std::string typeText(const std::vector<int64_t> &shape, bool dynamicFirst, const std::string &element) {
  std::string text = "tensor<";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 && dynamicFirst ? "?" : std::to_string(shape[i])) + "x";
  return text + element + ">";
}

/// A function @f of the inputs that returns the op's results r0, r1, ...
std::string functionText(const std::string &op, const std::string &attributes, const std::vector<Input> &inputs,
                         const std::vector<Output> &outputs, bool dynamic) {
  std::string arguments, operands, types, results, resultTypes, values;
  auto separate = [](std::string &list) -> std::string & { return list.empty() ? list : list += ", "; };
  for (const Input &input : inputs) {
    std::string type = typeText(input.array.shape, dynamic && input.tokens, input.element);
    separate(arguments) += "%" + input.name + ": " + type + " {peer.name = \"" + input.name + "\"}";
    separate(operands) += "%" + input.name;
    separate(types) += type;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::string type = typeText(outputs[i].expected.shape, dynamic && outputs[i].tokens, "f32");
    separate(results) += type + " {peer.name = \"r" + std::to_string(i) + "\"}";
    separate(resultTypes) += type;
    separate(values) += "%r#" + std::to_string(i);
  }
  return "func.func @f(" + arguments + ") -> (" + results + ") {\n  %r:" + std::to_string(outputs.size()) + " = peer." +
         op + " " + operands + " " + attributes + " : " + types + "\n  return " + values + " : " + resultTypes +
         "\n}\n";
}
} // namespace

Tensor toTensor(const Array &array, const std::string &element) {
  DType dtype = element == "i32"    ? DType::I32
                : element == "i8"   ? DType::I8
                : element == kFP8   ? DType::F8E4M3
                : element == "bf16" ? DType::BF16
                : element == "f64"  ? DType::F64
                                    : DType::F32;
  Tensor tensor = std::move(*Tensor::zeros(dtype, array.shape));
  for (size_t i = 0; i < array.values.size(); ++i)
    if (dtype == DType::I32)
      tensor.as<int32_t>()[i] = static_cast<int32_t>(array.values[i]);
    else if (dtype == DType::I8)
      tensor.as<int8_t>()[i] = static_cast<int8_t>(array.values[i]);
    else if (dtype == DType::F8E4M3)
      tensor.as<uint8_t>()[i] = bitsOfFP8(array.values[i]);
    else if (dtype == DType::BF16)
      tensor.as<uint16_t>()[i] = toBF16(array.values[i]);
    else if (dtype == DType::F64)
      tensor.as<double>()[i] = array.values[i];
    else
      tensor.as<float>()[i] = static_cast<float>(array.values[i]);
  return tensor;
}

std::string codeName(Code code, bool dynamic) {
  constexpr const char *names[] = {"Vectors", "Loops", "Gpu", "GpuLoops"};
  return std::string(names[static_cast<int>(code)]) + (dynamic ? "Dynamic" : "Static");
}

Array toArray(const Tensor &tensor) {
  Array array(tensor.shape());
  auto values = tensor.as<float>();
  array.values.assign(values.begin(), values.end());
  return array;
}

void NNOpTest::check(const std::string &op, const std::string &attributes, const std::vector<Input> &inputs,
                     const std::vector<Output> &outputs, double tolerance) {
  auto compiled = Compiled::compile(functionText(op, attributes, inputs, outputs, dynamic()), code());
  if (!compiled)
    return;
  for (bool empty : {false, true}) {
    if (empty && !(dynamic() && std::ranges::any_of(inputs, &Input::tokens)))
      break;
    TensorMap tensors;
    for (const Input &input : inputs) {
      Array array = input.array;
      if (empty && input.tokens) {
        array.shape[0] = 0;
        array.values.clear();
      }
      tensors.emplace(input.name, toTensor(array, input.element));
    }
    TensorMap results = compiled->call("f", tensors);
    ASSERT_EQ(results.size(), outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      Array expected = outputs[i].expected;
      if (empty && outputs[i].tokens)
        expected.shape[0] = 0, expected.values.clear();
      else if (empty && outputs[i].withoutTokens)
        expected = *outputs[i].withoutTokens;
      else if (empty)
        expected.values.assign(expected.values.size(), 0);
      EXPECT_TRUE(compiled->agrees(results, "r" + std::to_string(i), expected.shape, expected.values, tolerance))
          << op << (empty ? " without tokens" : "");
    }
  }
}

} // namespace peer::numerics
