// A small language model on the GPU beside the same model on the CPU: training, then prefill and decode with what was learned.
#include "NNOpTest.h"

#include <fstream>
#include <sstream>

namespace peer::numerics {
namespace {

using namespace runtime;

constexpr int64_t kContext = 16, kSteps = 20;

struct GpuModel : ::testing::Test {
  void SetUp() override {
    std::ostringstream text;
    text << std::ifstream(std::string(PEER_SOURCE) + "/test/end-to-end/inputs/nano_lm.mlir").rdbuf();
    cpu = Compiled::compile(text.str(), Code::Vectors);
    gpu = Compiled::compile(text.str(), Code::Gpu);
    ASSERT_TRUE(cpu && gpu && cpu->initParameters(3) && gpu->initParameters(3));
  }

  /// Calls an entry on both, and compares a result.
  void callBoth(const std::string &name, const TensorMap &inputs, double step, double position,
                const std::string &result, double tolerance) {
    const Entry &entry = **gpu->session().entry(name);
    ScalarMap scalars = gpu->session().defaultScalars(entry);
    for (auto &[scalar, value] : scalars)
      value = scalar == "step" ? step : scalar == "position" ? position : value;
    TensorMap expected = cpu->call(name, inputs, scalars), actual = gpu->call(name, inputs, scalars);
    ASSERT_TRUE(expected.contains(result));
    Array values = toArray(expected.at(result));
    EXPECT_TRUE(gpu->agrees(actual, result, values.shape, values.values, tolerance)) << name << " at step " << step;
  }

  static Tensor bytes(int64_t count, int64_t start) {
    const std::string text = "The quick brown fox jumps over the lazy dog; the dog sleeps. ";
    Array array({count});
    for (int64_t i = 0; i < count; ++i)
      array.values[i] = text[static_cast<size_t>(start + i) % text.size()];
    return toTensor(array, "i32");
  }

  std::unique_ptr<Compiled> cpu, gpu;
};

TEST_F(GpuModel, TrainsAndDecodesAsOnTheCPU) {
  for (int64_t step = 0; step < kSteps; ++step) {
    TensorMap inputs;
    inputs.emplace("tokens", bytes(2 * kContext, 7 * step));
    inputs.emplace("targets", bytes(2 * kContext, 7 * step + 1));
    // The order of sums differs, and Adam's first steps divide small gradients by themselves.
    callBoth("train_step", inputs, static_cast<double>(step + 1), 0, "loss", 1e-4);
  }
  // A prompt, then one token at a time, past the end of the context.
  for (int64_t position = 0, count = 10; position < 24; position += count, count = 1) {
    TensorMap inputs;
    inputs.emplace("tokens", bytes(count, position));
    callBoth(count > 1 ? "prefill" : "decode", inputs, 1, static_cast<double>(position), "logits", 2e-4);
  }
}

} // namespace
} // namespace peer::numerics
