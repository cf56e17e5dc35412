// Gradients of gate and route on GPUs: rows that share a warp or need it several times, selections of several tiles, many keys.
#include "RoutingOpTest.h"

#include <cmath>
#include <cstring>

namespace peer::numerics {
namespace {

using namespace reference;

class GpuRouteGrad : public RoutingOpTest {
protected:
  struct Route {
    int64_t tokens, heads, selected, n, width, halves = 2;
    bool shared = false;
    std::string element = "f32";
  };

  /// route_query_grad and route_key_grad of given indices; returns the results.
  runtime::TensorMap checkRoute(const Route &of, const Array &experts, double tolerance = 1e-5) {
    int64_t keyHeads = of.shared ? 1 : of.heads;
    Input idx{"idx", experts, true, "i32"}, dval{"dval", random(experts.shape, 2), true},
        query{"query", random({of.tokens, of.heads, of.halves, of.width}, 3), true, of.element},
        keys{"keys", random({keyHeads, of.halves, of.n, of.width}, 4), false, of.element};
    if (of.element == "bf16")
      query.array = roundToBF16(query.array), keys.array = roundToBF16(keys.array);
    Array dquery(query.array.shape), dkeys(keys.array.shape);
    for (int64_t pair = 0; pair < static_cast<int64_t>(experts.values.size()); ++pair) {
      auto expert = static_cast<int64_t>(experts.values[pair]);
      for (int64_t p = 0; p < of.halves && expert >= 0; ++p) {
        int64_t row = pair / of.selected, head = of.shared ? 0 : row % of.heads;
        int64_t key = of.halves == 1 ? expert : p == 0 ? expert / of.n : expert % of.n;
        int64_t to = (row * of.halves + p) * of.width, from = ((head * of.halves + p) * of.n + key) * of.width;
        for (int64_t d = 0; d < of.width; ++d) {
          dquery.values[to + d] += dval.array.values[pair] * keys.array.values[from + d];
          dkeys.values[from + d] += dval.array.values[pair] * query.array.values[to + d];
        }
      }
    }
    std::string policy = (of.halves == 2 ? " product_topk<" : " topk<") + std::to_string(of.selected) + ">";
    return check({idx, dval, query, keys},
                 "  %q = peer.route_query_grad %idx, %dval, %keys" + policy + " : " + type(idx) + ", " + type(dval) +
                     ", " + type(keys) + "\n  %k = peer.route_key_grad %idx, %dval, %query" + policy + " n " +
                     std::to_string(of.n) + (of.shared ? " shared" : "") + " : " + type(idx) + ", " + type(dval) +
                     ", " + type(query),
                 {{"%q", dquery, true, "f32", tolerance}, {"%k", dkeys, false, "f32", tolerance}});
  }
  runtime::TensorMap checkRoute(const Route &of, double tolerance = 1e-5) {
    int64_t experts = of.halves == 2 ? of.n * of.n : of.n;
    return checkRoute(of, randomExperts({of.tokens, of.heads, of.selected}, experts, 1), tolerance);
  }

  void checkGate(const std::string &name, Gate kind, int64_t tokens, int64_t heads, int64_t selected) {
    std::vector<int64_t> shape{tokens, heads, selected};
    Input val{"val", random(shape, 1, -3, 3), true}, w{"w", gate(val.array, kind), true},
        dw{"dw", random(shape, 2), true};
    Array dval(shape);
    for (int64_t row = 0; row < tokens * heads; ++row) {
      double mean = 0;
      for (int64_t k = 0; k < selected; ++k)
        mean += w.array.values[row * selected + k] * dw.array.values[row * selected + k];
      for (int64_t i = row * selected; i < (row + 1) * selected; ++i) {
        double weight = w.array.values[i], gradient = dw.array.values[i];
        dval.values[i] = kind == Gate::Softmax     ? weight * (gradient - mean)
                         : kind == Gate::Sigmoid   ? gradient * weight * (1 - weight)
                         : val.array.values[i] > 0 ? gradient
                                                   : 0;
      }
    }
    check({val, w, dw},
          "  %dv = peer.gate_grad %val, %w, %dw " + name + " : " + type(val) + ", " + type(w) + ", " + type(dw),
          {{"%dv", dval, true, "f32", 2e-6}});
  }
};

TEST_P(GpuRouteGrad, OddSizes) { checkRoute({.tokens = 3, .heads = 3, .selected = 37, .n = 17, .width = 5}); }
TEST_P(GpuRouteGrad, OneToken) { checkRoute({.tokens = 1, .heads = 1, .selected = 1, .n = 1, .width = 1}); }
TEST_P(GpuRouteGrad, SeveralTiles) {
  checkRoute({.tokens = 1030, .heads = 2, .selected = 4, .n = 33, .width = 16}, 3e-5);
}
TEST_P(GpuRouteGrad, SeveralTilesOfSharedKeys) {
  checkRoute({.tokens = 700, .heads = 3, .selected = 3, .n = 20, .width = 12, .shared = true}, 3e-5);
}
TEST_P(GpuRouteGrad, TileBorder) {
  checkRoute({.tokens = 1024, .heads = 1, .selected = 2, .n = 600, .width = 4, .halves = 1}, 2e-5);
}
TEST_P(GpuRouteGrad, OneSmallTile) {
  checkRoute({.tokens = 256, .heads = 1, .selected = 2, .n = 40, .width = 4}, 2e-5);
}
TEST_P(GpuRouteGrad, MostSmallTiles) {
  checkRoute({.tokens = 2048, .heads = 1, .selected = 8, .n = 70, .width = 4, .halves = 1}, 2e-4);
}
TEST_P(GpuRouteGrad, FewestLargeTiles) {
  checkRoute({.tokens = 2049, .heads = 1, .selected = 8, .n = 70, .width = 4, .halves = 1}, 2e-4);
}
TEST_P(GpuRouteGrad, ManyTiles) {
  // More than the eight tiles whose counts are read at once.
  checkRoute({.tokens = 2500, .heads = 1, .selected = 8, .n = 3, .width = 4, .halves = 1}, 2e-4);
}
TEST_P(GpuRouteGrad, OneKeyForAll) {
  Route of{.tokens = 300, .heads = 2, .selected = 4, .n = 9, .width = 20};
  Array experts({of.tokens, of.heads, of.selected});
  std::fill(experts.values.begin(), experts.values.end(), 40);
  checkRoute(of, experts, 2e-4);
}
TEST_P(GpuRouteGrad, NothingSelected) {
  Route of{.tokens = 5, .heads = 2, .selected = 4, .n = 3, .width = 6};
  Array experts({of.tokens, of.heads, of.selected});
  std::fill(experts.values.begin(), experts.values.end(), -1);
  checkRoute(of, experts, 0);
}
TEST_P(GpuRouteGrad, MoreKeysThanSharedCounters) {
  checkRoute({.tokens = 70, .heads = 1, .selected = 32, .n = 8200, .width = 2, .halves = 1});
}
TEST_P(GpuRouteGrad, WidthOfPerformance) {
  checkRoute({.tokens = 8, .heads = 2, .selected = 16, .n = 40, .width = 128, .element = "bf16"});
}
TEST_P(GpuRouteGrad, SlicesOfWideKeys) {
  checkRoute({.tokens = 9, .heads = 1, .selected = 5, .n = 6, .width = 1300, .shared = true});
}
TEST_P(GpuRouteGrad, OddWideBF16) {
  checkRoute({.tokens = 5, .heads = 2, .selected = 5, .n = 3, .width = 601, .element = "bf16"});
}
TEST_P(GpuRouteGrad, SameOnEveryRun) {
  Route of{.tokens = 400, .heads = 1, .selected = 6, .n = 5, .width = 8};
  auto first = checkRoute(of, 3e-5), second = checkRoute(of, 3e-5);
  for (auto &[name, tensor] : first) {
    auto a = tensor.as<float>(), b = second.at(name).as<float>();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << name;
  }
}

TEST(GpuRouteKeyGrad, NoTokensMeanZeros) {
  auto compiled = Compiled::compile(
      "func.func @f(%i: tensor<?x2x3xi32> {peer.name = \"i\"}, %d: tensor<?x2x3xf32> {peer.name = \"d\"}, "
      "%q: tensor<?x2x2x9xf32> {peer.name = \"q\"}) -> (tensor<2x2x5x9xf32> {peer.name = \"k\"}) {\n"
      "  %k = peer.route_key_grad %i, %d, %q product_topk<3> n 5 : tensor<?x2x3xi32>, tensor<?x2x3xf32>, "
      "tensor<?x2x2x9xf32>\n  return %k : tensor<2x2x5x9xf32>\n}\n",
      Code::Gpu);
  ASSERT_TRUE(compiled);
  runtime::TensorMap inputs;
  inputs.emplace("i", toTensor(Array({0, 2, 3}), "i32"));
  inputs.emplace("d", toTensor(Array({0, 2, 3})));
  inputs.emplace("q", toTensor(Array({0, 2, 2, 9})));
  auto results = compiled->call("f", inputs);
  EXPECT_TRUE(compiled->agrees(results, "k", {2, 2, 5, 9}, std::vector<double>(180), 0));
}

TEST_P(GpuRouteGrad, GateOfOne) { checkGate("softmax", Gate::Softmax, 70, 1, 1); }
TEST_P(GpuRouteGrad, GateOfPartsOfAWarp) {
  for (int64_t selected : {2, 3, 16, 31})
    checkGate("softmax", Gate::Softmax, 33, 3, selected);
}
TEST_P(GpuRouteGrad, GateOfMoreThanAWarp) {
  for (int64_t selected : {33, 70, 128})
    checkGate("softmax", Gate::Softmax, 9, 2, selected);
}
TEST_P(GpuRouteGrad, GateWithoutSum) {
  checkGate("sigmoid", Gate::Sigmoid, 20, 2, 37);
  checkGate("relu", Gate::Relu, 20, 2, 37);
}

INSTANTIATE_TEST_SUITE_P(, GpuRouteGrad, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
