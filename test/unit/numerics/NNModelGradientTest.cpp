// Every element of every derived gradient of a two-block model (attention, then a PEER layer), against central differences
// of the same model in double precision.
#include "NNOpTest.h"
#include "RoutingReference.h"

namespace peer::numerics {
namespace {

using namespace reference;

const char *const kModel = R"(
!act = tensor<?x16xf32>  !mat = tensor<16x16xf32>  !vec = tensor<16xf32>
func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "norm.weight" uniform(0.5, 1.5) : !vec  %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "query" normal(0.4) : !mat              %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "key" normal(0.4) : !mat                %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "value" normal(0.3) : !mat              %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 2 context 5 : !act           %k  = peer.rotary %k0 heads 2 context 5 : !act
  %a  = peer.attention %q, %k, %v heads 2 context 5 : !act, !act, !act
  %wo = peer.param "output" normal(0.3) : !mat             %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act
  return %y : !act
}
func.func private @peer(%x: !act) -> !act {
  %g  = peer.param "norm.weight" uniform(0.5, 1.5) : !vec
  %b  = peer.param "norm.bias" normal(0.3) : !vec          %n  = peer.layer_norm %x, %g, %b : !act, !vec, !vec
  %wq = peer.param "query" normal(0.3) : tensor<16x32xf32> %q0 = peer.linear %n, %wq : !act, tensor<16x32xf32>
  %q  = peer.reshape %q0 to tensor<?x2x2x8xf32> : tensor<?x32xf32>
  %c  = peer.param "keys" normal(0.5) : tensor<2x2x8x8xf32>
  %s  = peer.score %q, %c : tensor<?x2x2x8xf32>, tensor<2x2x8x8xf32>
  %i, %v = peer.select %s product_topk<4> : tensor<?x2x2x8xf32>
  %w  = peer.gate %v softmax : tensor<?x2x4xf32>
  %p  = peer.param "experts" normal(0.3) : tensor<64x2x16xf32>
  %m  = peer.mix %n, %i, %w, %p gelu : !act, tensor<?x2x4xi32>, tensor<?x2x4xf32>, tensor<64x2x16xf32>
  %y  = arith.addf %x, %m : !act
  return %y : !act
}
func.func @loss(%tokens: tensor<?xi32> {peer.name = "tokens"}, %targets: tensor<?xi32> {peer.name = "targets"})
    -> (tensor<f32> {peer.name = "loss"}) {
  %e  = peer.param "table" normal(1.0) : tensor<20x16xf32>
  %x0 = peer.embedding %tokens, %e : tensor<?xi32>, tensor<20x16xf32>
  %x1 = peer.call "0" @attention(%x0) : (!act) -> !act
  %x2 = peer.call "1" @peer(%x1) : (!act) -> !act
  %y  = peer.linear %x2, %e {transpose_weight} : !act, tensor<20x16xf32>
  %l  = peer.cross_entropy %y, %targets : tensor<?x20xf32>, tensor<?xi32>
  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.gradient @loss_grad of @loss
)";

constexpr int64_t kTokens = 15, kContext = 5;

using Parameters = std::map<std::string, Array>;

Array add(Array a, const Array &b) {
  for (size_t i = 0; i < a.values.size(); ++i)
    a.values[i] += b.values[i];
  return a;
}

/// The model above.
double loss(const Parameters &p, const Array &tokens, const Array &targets) {
  Array x = embedding(tokens, p.at("table"));
  Array n = rmsNorm(x, p.at("0.norm.weight"), 1e-5);
  auto turned = [&](const char *name) { return rotary(linear(n, false, p.at(name), false), 2, kContext, 10000); };
  Array a = attention(turned("0.query"), turned("0.key"), linear(n, false, p.at("0.value"), false), 2, kContext);
  x = add(x, linear(a, false, p.at("0.output"), false));
  n = layerNorm(x, p.at("1.norm.weight"), p.at("1.norm.bias"), 1e-5);
  Array q = linear(n, false, p.at("1.query"), false);
  q.shape = {kTokens, 2, 2, 8};
  Selection selected = select(score(q, p.at("1.keys")), 4);
  x = add(x, mix(n, selected.idx, gate(selected.val, Gate::Softmax), p.at("1.experts"), Activation::Gelu, 1));
  return mean(crossEntropy(linear(x, false, p.at("table"), true), targets)).values[0];
}

struct NNModelGradient : ::testing::TestWithParam<Code> {};

TEST_P(NNModelGradient, OfEveryParameter) {
  auto compiled = Compiled::compile(kModel, GetParam());
  ASSERT_TRUE(compiled);
  ASSERT_TRUE(compiled->session().initParameters(7).ok());
  Parameters parameters;
  for (const auto &[name, tensor] : compiled->session().parameters())
    parameters.emplace(name, toArray(tensor));
  ASSERT_EQ(parameters.size(), 11u);
  Array tokens = randomTokens(kTokens, 20, 1), targets = randomTokens(kTokens, 20, 2), one(std::vector<int64_t>{});
  one.values[0] = 1;
  runtime::TensorMap inputs;
  inputs.emplace("tokens", toTensor(tokens, "i32"));
  inputs.emplace("targets", toTensor(targets, "i32"));
  runtime::TensorMap value = compiled->call("loss", inputs);
  ASSERT_EQ(value.size(), 1u);
  EXPECT_TRUE(compiled->agrees(value, "loss", {}, {loss(parameters, tokens, targets)}, 1e-6));
  inputs.emplace("dloss", toTensor(one));
  runtime::TensorMap gradients = compiled->call("loss_grad", inputs);
  ASSERT_EQ(gradients.size(), parameters.size());
  for (auto &[name, array] : parameters) {
    std::vector<double> expected;
    double largest = 0;
    for (double &element : array.values) {
      expected.push_back(slope(element, [&] { return loss(parameters, tokens, targets); }, 1e-5));
      largest = std::max(largest, std::abs(expected.back()));
    }
    // Within 2e-5 of the tensor's largest gradient: a few roundings of f32, and none of them hides a wrong term.
    EXPECT_GT(largest, 1e-3) << name;
    std::vector<double> tolerances(expected.size(), 2e-5 * largest);
    EXPECT_TRUE(compiled->agrees(gradients, "grad." + name, array.shape, expected, tolerances));
  }
}

INSTANTIATE_TEST_SUITE_P(, NNModelGradient, ::testing::Values(Code::Vectors, Code::Loops), [](const auto &info) {
  return std::string(info.param == Code::Vectors ? "Vectors" : "Loops");
});

} // namespace
} // namespace peer::numerics
