// The loss that keeps experts even within each sequence, in the words of examples/loss_free_moe_lm.mlir.
#include "LayerTest.h"
#include "RoutingReference.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr int64_t kContext = 4, kExperts = 6, kSequences = 3;

const char *const kText = R"(
!s = tensor<?x1x1x6xf32>  !w = tensor<?x1x2xf32>  !seq = tensor<?x4x6xf32>  !each = tensor<?x6xf32>
func.func @loss(%s: !s {peer.name = "s"}) -> (tensor<f32> {peer.name = "loss"}) {
  %i, %u = peer.select %s topk<2> : !s
  %s1 = peer.reshape %s to !each : !s               %d  = peer.activation %s1 sigmoid : !each
  %t  = peer.reduce sum %d along [1] : !each        %tb = peer.broadcast %t like %d along [1] : tensor<?xf32>, !each
  %r  = arith.divf %d, %tb : !each                  %r1 = peer.reshape %r to !seq : !each
  %k  = peer.slice %u along 2 from 1 size 1 : !w    %kb = peer.broadcast %k like %s along [3] : tensor<?x1x1xf32>, !s
  %on = arith.cmpf oge, %s, %kb : !s                %f0 = arith.uitofp %on : tensor<?x1x1x6xi1> to !s
  %f1 = peer.reshape %f0 to !seq : !s               %fm = peer.reduce mean %f1 along [1] : !seq
  %rm = peer.reduce mean %r1 along [1] : !seq       %fr = arith.mulf %fm, %rm : !each
  %l  = peer.reduce sum %fr along [1] : !each
  %b  = peer.mean %l : tensor<?xf32>
  return %b : tensor<f32>
}
peer.gradient @loss_grad of @loss
)";

/// The mean over sequences of the sum over experts of (share of tokens that took it) * (mean share of their sigmoids).
double sequenceLoss(const Array &logits) {
  double loss = 0;
  for (int64_t sequence = 0; sequence < kSequences; ++sequence)
    for (int64_t expert = 0; expert < kExperts; ++expert) {
      double taken = 0, share = 0;
      for (int64_t t = sequence * kContext; t < (sequence + 1) * kContext; ++t) {
        std::vector<int64_t> order = rankedColumns(logits, t);
        taken += order[0] == expert || order[1] == expert;
        double total = 0;
        for (int64_t e = 0; e < kExperts; ++e)
          total += 1 / (1 + std::exp(-logits.at(t, e)));
        share += 1 / (1 + std::exp(-logits.at(t, expert))) / total;
      }
      loss += taken / kContext * share / kContext / kSequences;
    }
  return loss;
}

struct SequenceBalance : ::testing::TestWithParam<Code> {};

TEST_P(SequenceBalance, IsAMeanOverSequences) {
  auto compiled = Compiled::compile(kText, GetParam());
  ASSERT_TRUE(compiled);
  Array logits = random({kSequences * kContext, kExperts}, 3, -2, 2), given = logits;
  given.shape = {kSequences * kContext, 1, 1, kExperts};
  runtime::TensorMap inputs;
  inputs.emplace("s", toTensor(given));
  EXPECT_TRUE(compiled->agrees(compiled->call("loss", inputs), "loss", {}, {sequenceLoss(logits)}, 1e-6));
  Array one(std::vector<int64_t>{});
  one.values = {1};
  inputs.emplace("dloss", toTensor(one));
  runtime::TensorMap gradients = compiled->call("loss_grad", inputs);
  ASSERT_EQ(gradients.size(), 1u);
  Array gradient = toArray(gradients.at("ds"));
  gradient.shape = logits.shape;
  expectGradient("ds", gradient, logits, [&] { return sequenceLoss(logits); });
}

INSTANTIATE_TEST_SUITE_P(, SequenceBalance, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
