// Layers whose weights do not follow from a token's logits alone, or that have a dense part.
#include "LayerTest.h"
#include "RoutingReference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

struct ChoiceLayers : ::testing::TestWithParam<Code> {};

/// silu(x . gate) * (x . up) . down.
Array swiglu(const Parameters &p, const Array &x) {
  Array hidden = activation(linear(x, false, p.at("shared.gate.weight"), false), Activation::Silu);
  Array up = linear(x, false, p.at("shared.up.weight"), false);
  for (size_t i = 0; i < hidden.values.size(); ++i)
    hidden.values[i] *= up.values[i];
  return linear(hidden, false, p.at("shared.down.weight"), false);
}

TEST_P(ChoiceLayers, ExpertChoiceMoE) {
  checkLayer("expert_choice_moe", GetParam(), 21, {}, [](const Parameters &p, const Array &x) {
    Array all = softmax(linear(x, false, p.at("router.weight"), false)), weights(all.shape), y(x.shape);
    // ceil(2 * 21 / 16).
    constexpr int64_t kTaken = 3;
    for (int64_t e = 0; e < 16; ++e) {
      std::vector<int64_t> order(21);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return all.at(a, e) > all.at(b, e); });
      for (int64_t i = 0; i < kTaken; ++i)
        weights.at(order[i], e) = all.at(order[i], e);
    }
    addExperts(x, weights, p.at("experts"), 32, false, y);
    return y;
  });
}

TEST_P(ChoiceLayers, HashLayer) {
  Array tokens = randomTokens(7, 1000, 3);
  checkLayer("hash_layer", GetParam(), 7, {{"tokens", tokens, "i32"}}, [&](const Parameters &p, const Array &x) {
    Array weights({7, 16}), y(x.shape);
    for (int64_t t = 0; t < 7; ++t)
      weights.at(t, mixBits(uint32_t(tokens.values[t]) ^ mixBits(0x9e3779b9)) % 16) = 1;
    addExperts(x, weights, p.at("experts"), 32, false, y);
    return y;
  });
}

TEST_P(ChoiceLayers, DeepSeekMoE) {
  checkLayer("deepseek_moe", GetParam(), 5, {}, [](const Parameters &p, const Array &x) {
    Array all = softmax(linear(x, false, p.at("router.weight"), false)), weights(all.shape), y = swiglu(p, x);
    for (int64_t t = 0; t < 5; ++t)
      for (int64_t rank = 0; rank < 4; ++rank)
        weights.at(t, rankedColumns(all, t)[rank]) = all.at(t, rankedColumns(all, t)[rank]);
    addExperts(x, weights, p.at("experts"), 32, true, y);
    return y;
  });
}

/// The grid's softmax is over 256 logits here.
TEST_P(ChoiceLayers, OmniMoE) {
  checkLayer("omni_moe", GetParam(), 5, {}, [](const Parameters &p, const Array &x) {
    Array logits = linear(x, false, p.at("router.weight"), false), grid({5, 256}), weights({5, 256}), y = swiglu(p, x);
    for (int64_t t = 0; t < 5; ++t)
      for (int64_t e = 0; e < 256; ++e)
        grid.at(t, e) = logits.at(t, e / 16) + logits.at(t, 16 + e % 16);
    Array all = softmax(grid);
    for (int64_t t = 0; t < 5; ++t) {
      std::vector<int64_t> order = rankedColumns(grid, t);
      for (int64_t rank = 0; rank < 8; ++rank)
        weights.at(t, order[rank]) = all.at(t, order[rank]);
    }
    addExperts(x, weights, p.at("experts"), 1, true, y);
    return y;
  });
}

// One artifact at the threshold that it is trained with, and at a lower one.
TEST_P(ChoiceLayers, XMoEDense) {
  for (double threshold : {1.0, 0.5}) {
    Array given(std::vector<int64_t>{});
    given.values = {threshold};
    checkLayer("xmoe_dense", GetParam(), 5, {{"threshold", given}}, [&](const Parameters &p, const Array &x) {
      Array all = softmax(linear(x, false, p.at("router.weight"), false)), weights(all.shape), y(x.shape);
      for (int64_t t = 0; t < 5; ++t) {
        double before = 0;
        for (int64_t block : rankedColumns(all, t)) {
          if (before == 0 || threshold == 1 || before < threshold)
            weights.at(t, block) = all.at(t, block);
          before += all.at(t, block);
        }
      }
      addExperts(x, weights, p.at("experts"), 32, false, y);
      return y;
    });
  }
}

// The gradient is that of weights which move as sigmoids do from what they are.
TEST_P(ChoiceLayers, DSMoE) {
  constexpr int64_t kBlocks = 8;
  std::vector<double> off; // by token and block: weight - sigmoid
  checkLayer("dsmoe", GetParam(), 5, {}, [&](const Parameters &p, const Array &x) {
    Array logits = linear(x, false, p.at("router.weight"), false), weights(logits.shape), y(x.shape);
    bool first = off.empty();
    for (int64_t t = 0; t < 5; ++t) {
      double on = 0;
      for (int64_t block = 0; block < kBlocks; ++block) {
        double gate = 1 / (1 + std::exp(-logits.at(t, block)));
        if (first)
          off.push_back((gate > 0.5 ? 1 : 0) - gate);
        weights.at(t, block) = gate + off[t * kBlocks + block];
        on += weights.at(t, block);
      }
      for (int64_t block = 0; block < kBlocks; ++block)
        weights.at(t, block) *= kBlocks / std::max(on, 0.5);
    }
    addExperts(x, weights, p.at("experts"), 32, true, y);
    return y;
  });
  for (int64_t t = 0; t < 5; ++t) // some are on, some off
    EXPECT_NE(std::signbit(*std::min_element(&off[t * kBlocks], &off[t * kBlocks] + kBlocks)),
              std::signbit(*std::max_element(&off[t * kBlocks], &off[t * kBlocks] + kBlocks)));
}

INSTANTIATE_TEST_SUITE_P(, ChoiceLayers, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
