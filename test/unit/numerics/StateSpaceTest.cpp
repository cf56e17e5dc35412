// Causal convolutions and selective scans, with their gradients.
#include "LayerTest.h"
#include "StateSpaceReference.h"

namespace peer::numerics {
namespace {

using namespace reference;

struct NNStateSpace : NNOpTest {
  static std::vector<Input> named(const std::vector<Array> &in) {
    return {{"x", in[0], true}, {"delta", in[1], true}, {"a", in[2]}, {"b", in[3], true}, {"c", in[4], true}};
  }

  void checkConv(ScanSizes s) {
    Array x = random({s.tokens(), s.width}, 1), weight = random({s.states, s.width}, 2);
    check("causal_conv", "context " + std::to_string(s.context), {{"x", x, true}, {"w", weight}},
          {{conv(x, weight, s.context), true}});
  }

  void checkConvGrad(ScanSizes s) {
    std::vector<Array> in{random({s.tokens(), s.width}, 1), random({s.states, s.width}, 2)};
    Array dy = random({s.tokens(), s.width}, 3), each({s.sequences, s.states, s.width});
    Forward forward = [&](const std::vector<Array> &a) { return conv(a[0], a[1], s.context); };
    // The gradient of one sequence's loss alone.
    for (int64_t sequence = 0; sequence < s.sequences; ++sequence) {
      Array own(dy.shape);
      int64_t size = s.context * s.width;
      std::copy_n(dy.values.begin() + sequence * size, size, own.values.begin() + sequence * size);
      Array part = gradient(forward, in, 1, own);
      std::copy(part.values.begin(), part.values.end(), each.values.begin() + sequence * part.values.size());
    }
    check("causal_conv_grad", s.attributes(), {{"x", in[0], true}, {"w", in[1]}, {"dy", dy, true}},
          {{gradient(forward, in, 0, dy), true}, {each, true}}, 1e-5);
  }

  void checkScan(ScanSizes s) {
    std::vector<Array> in = scanInputs(s);
    Array state({s.states, s.width});
    check("selective_scan", "context " + std::to_string(s.context), named(in), {{scan(in, s.context, state), true}},
          5e-6);
  }

  void checkScanGrad(ScanSizes s, int64_t channels) {
    std::vector<Array> in = scanInputs(s);
    Array dy = random(in[0].shape, 6);
    int64_t groups = s.width / channels;
    auto gradientOf = [&](size_t which, const Array &own) {
      Forward forward = [&](const std::vector<Array> &a) {
        Array state({s.states, s.width});
        return scan(a, s.context, state);
      };
      return gradient(forward, in, which, own);
    };
    auto masked = [&](auto keeps) {
      Array own(dy.shape);
      for (int64_t t = 0; t < dy.rows(); ++t)
        for (int64_t d = 0; d < dy.columns(); ++d)
          own.at(t, d) = keeps(t, d) ? dy.at(t, d) : 0;
      return own;
    };
    Array da({s.sequences, s.states, s.width}), db({s.tokens(), groups, s.states}), dc(db.shape);
    for (int64_t i = 0; i < s.sequences; ++i) {
      Array part = gradientOf(2, masked([&](int64_t t, int64_t) { return t / s.context == i; }));
      std::copy(part.values.begin(), part.values.end(), da.values.begin() + i * part.values.size());
    }
    for (int64_t g = 0; g < groups; ++g)
      for (auto [which, all] : {std::pair<size_t, Array *>(3, &db), {4, &dc}}) {
        Array part = gradientOf(which, masked([&](int64_t, int64_t d) { return d / channels == g; }));
        for (int64_t t = 0; t < s.tokens(); ++t)
          for (int64_t n = 0; n < s.states; ++n)
            all->values[(t * groups + g) * s.states + n] = part.at(t, n);
      }
    std::vector<Input> inputs = named(in);
    inputs.push_back({"dy", dy, true});
    check("selective_scan_grad", s.attributes(", channels = " + std::to_string(channels) + " : i64"), inputs,
          {{gradientOf(0, dy), true}, {gradientOf(1, dy), true}, {da, true}, {db, true}, {dc, true}}, 1e-5);
  }
};

/// What has a row for each sequence is no entry's result where T is dynamic.
struct NNStateSpaceGrad : NNStateSpace {};

TEST_P(NNStateSpace, Conv) { checkConv({3, 12, 40, 4}); }
// One row per sequence, one tap, more taps than rows.
TEST_P(NNStateSpace, ConvOfOddSizes) {
  checkConv({5, 1, 3, 4});
  checkConv({2, 7, 19, 1});
  checkConv({2, 3, 5, 6});
}
TEST_P(NNStateSpaceGrad, ConvGrad) {
  checkConvGrad({2, 9, 19, 4});
  checkConvGrad({3, 2, 4, 5});
}
TEST_P(NNStateSpace, Scan) { checkScan({2, 20, 40, 16}); }
TEST_P(NNStateSpace, ScanOfOddSizes) {
  checkScan({4, 1, 3, 1});
  checkScan({1, 33, 19, 5});
}
// Four chunks of a GPU's threads, and a row of a fifth.
TEST_P(NNStateSpace, ScanOfChunks) {
  checkScan({2, 128, 2, 17});
  checkScan({1, 129, 3, 2});
}
// More states than registers are for.
TEST_P(NNStateSpace, ScanOfManyStates) { checkScan({2, 6, 5, 37}); }
TEST_P(NNStateSpaceGrad, ScanGrad) { checkScanGrad({2, 5, 8, 4}, 4); }
// Chunks: two whole ones and a part.
TEST_P(NNStateSpaceGrad, ScanGradOfChunks) { checkScanGrad({1, 37, 3, 2}, 3); }
// Chunks of a GPU's warps, the last one of 27 rows.
TEST_P(NNStateSpaceGrad, ScanGradOfManyChunks) { checkScanGrad({2, 155, 2, 2}, 2); }
TEST_P(NNStateSpaceGrad, ScanGradOfManyChunksAndStates) { checkScanGrad({1, 128, 2, 9}, 1); }
TEST_P(NNStateSpaceGrad, ScanGradOfManyStates) { checkScanGrad({1, 3, 3, 18}, 1); }
TEST_P(NNStateSpaceGrad, ScanGradOfWideGroups) { checkScanGrad({1, 2, 36, 2}, 36); }

const char *const kText = R"(
!x = tensor<?x9xf32>  !w = tensor<3x9xf32>  !a = tensor<4x9xf32>  !n = tensor<?x4xf32>
func.func @loss(%x: !x {peer.name = "x"}, %w: !w {peer.name = "w"}, %delta: !x {peer.name = "delta"}, %a: !a {peer.name = "a"}, %b: !n {peer.name = "b"},
    %c: !n {peer.name = "c"}) -> (tensor<f32> {peer.name = "loss"}) {
  %u = peer.causal_conv %x, %w context 18 : !x, !w
  %y = peer.selective_scan %u, %delta, %a, %b, %c context 18 : !x, !x, !a, !n, !n
  %z = arith.mulf %y, %y : !x
  %s = peer.reduce sum %z along [1] : !x
  %m = peer.mean %s : tensor<?xf32>
  return %m : tensor<f32>
}
peer.gradient @loss_grad of @loss
)";

struct StateSpaceGradient : ::testing::TestWithParam<Code> {};

// Two sequences, of which each has a chunk and a part of one.
TEST_P(StateSpaceGradient, OfEveryInput) {
  constexpr int64_t kContext = 18;
  auto compiled = Compiled::compile(kText, GetParam());
  ASSERT_TRUE(compiled);
  std::vector<Array> scanned = scanInputs({2, kContext, 9, 4});
  std::vector<std::pair<std::string, Array>> in{{"x", scanned[0]}, {"delta", scanned[1]}, {"a", scanned[2]},
                                                {"b", scanned[3]}, {"c", scanned[4]},     {"w", random({3, 9}, 8)}};
  auto loss = [&] {
    Array state({4, 9});
    Array y = scan({conv(in[0].second, in[5].second, kContext), in[1].second, in[2].second, in[3].second, in[4].second},
                   kContext, state);
    double sum = 0;
    for (double value : y.values)
      sum += value * value;
    return sum / static_cast<double>(y.rows());
  };
  runtime::TensorMap inputs;
  for (auto &[name, array] : in)
    inputs.emplace(name, toTensor(array));
  EXPECT_TRUE(compiled->agrees(compiled->call("loss", inputs), "loss", {}, {loss()}, 1e-5));
  Array one(std::vector<int64_t>{});
  one.values = {1};
  inputs.emplace("dloss", toTensor(one));
  runtime::TensorMap gradients = compiled->call("loss_grad", inputs);
  ASSERT_EQ(gradients.size(), in.size());
  for (auto &[name, array] : in)
    expectGradient(name, toArray(gradients.at("d" + name)), array, loss);
}

INSTANTIATE_TEST_SUITE_P(, StateSpaceGradient, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu, Code::GpuLoops),
                         [](const auto &info) { return codeName(info.param, true); });
INSTANTIATE_TEST_SUITE_P(, NNStateSpaceGrad,
                         ::testing::Combine(::testing::Values(Code::Vectors, Code::Loops, Code::Gpu, Code::GpuLoops),
                                            ::testing::Values(false)),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });
INSTANTIATE_NN_OPS(NNStateSpace);

} // namespace
} // namespace peer::numerics
