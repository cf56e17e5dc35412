#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct RoutingGrad : RoutingOpTest {
  /// Gradients through dense logits and through the selected ones only, of queries `T x H x P x d` and keys `G x P x n x d`.
  void checkRoute(int64_t heads, int64_t keyHeads, int64_t halves, int64_t n, int64_t d,
                  const std::string &keyElement = "f32") {
    int64_t tokens = 6, experts = halves == 2 ? n * n : n;
    bool shared = keyHeads == 1;
    std::string policy = halves == 2 ? " product_topk<4>" : " topk<4>", count = " n " + std::to_string(n),
                share = shared ? " shared" : "";
    Input idx{"idx", randomExperts({tokens, heads, 4}, experts, 1), true, "i32"},
        dval{"dval", random({tokens, heads, 4}, 2), true}, query{"query", random({tokens, heads, halves, d}, 3), true},
        keys{"keys", random({keyHeads, halves, n, d}, 4), false, keyElement};
    if (keyElement == "bf16")
      keys.array = roundToBF16(keys.array);
    Forward selected = [&](const std::vector<Array> &in) { return gather(in[0], idx.array); };
    Forward forward = [&](const std::vector<Array> &in) { return gather(score(in[0], in[1]), idx.array); };
    Array dlogits = gradient(selected, {score(query.array, keys.array)}, 0, dval.array, 1e-2);
    Array dquery = gradient(forward, {query.array, keys.array}, 0, dval.array, 1e-2);
    Array dkeys = gradient(forward, {query.array, keys.array}, 1, dval.array, 1e-2);
    // As an input of its own: where select_grad is in sight, --peer-fuse turns score's gradients into route's.
    Input dense{"dense", dlogits, true};
    check({idx, dval, query, keys, dense},
          "  %dl = peer.select_grad %idx, %dval" + policy + count + " : " + type(idx) + ", " + type(dval) +
              "\n  %sq = peer.score_query_grad %dense, %keys : " + type(dense) + ", " + type(keys) +
              "\n  %sk = peer.score_key_grad %dense, %query" + share + " : " + type(dense) + ", " + type(query) +
              "\n  %rq = peer.route_query_grad %idx, %dval, %keys" + policy + " : " + type(idx) + ", " + type(dval) +
              ", " + type(keys) + "\n  %rk = peer.route_key_grad %idx, %dval, %query" + policy + count + share + " : " +
              type(idx) + ", " + type(dval) + ", " + type(query),
          {{"%dl", dlogits, true}, {"%sq", dquery, true}, {"%sk", dkeys}, {"%rq", dquery, true}, {"%rk", dkeys}});
  }

  void checkGate(const std::string &name, Gate kind) {
    Input val{"val", random({5, 3, 7}, 1, -3, 3), true};
    el(val.array, {2, 0, 0}) = -INFINITY;
    Forward forward = [&](const std::vector<Array> &in) { return gate(in[0], kind); };
    Input w{"w", forward({val.array}), true}, dw{"dw", random({5, 3, 7}, 2), true};
    Array dval = gradient(forward, {val.array}, 0, dw.array);
    check({val, w, dw},
          "  %dv = peer.gate_grad %val, %w, %dw " + name + " : " + type(val) + ", " + type(w) + ", " + type(dw),
          {{"%dv", dval, true}});
  }

  /// mix_grad, then sort_pairs and pool_grad, whose result is the derivative by the pool.
  void checkMix(int64_t tokens, int64_t width, int64_t vectors, int64_t rows, const std::string &activation,
                const std::string &element = "f32", int64_t experts = 7) {
    Activation kind = activation == "gelu" ? Activation::Gelu : Activation::Silu;
    Input x{"x", random({tokens, width}, 1), true}, idx{"idx", randomExperts({tokens, 2, 3}, experts, 2), true, "i32"},
        w{"w", random({tokens, 2, 3}, 3), true},
        pool{"pool", random({experts * rows, vectors, width}, 4), false, element},
        dy{"dy", random({tokens, width}, 5), true};
    if (element == "bf16")
      pool.array = roundToBF16(pool.array);
    Forward forward = [&](const std::vector<Array> &in) { return mix(in[0], idx.array, in[1], in[2], kind, rows); };
    std::vector<Array> inputs{x.array, w.array, pool.array};
    std::string types = type(idx) + ", ", pairs = type({tokens * 6}, true, "i32"),
                coef = type({tokens, 2, 3, rows, vectors}, true);
    std::string rowGrad = "%idx, %o, %s, %c, %coef, %x, %dy", rowTypes = type(idx) + ", " + pairs + ", " + pairs +
                                                                         ", tensor<2xi32>, " + coef + ", " + type(x) +
                                                                         ", " + type(dy);
    Array dpool = gradient(forward, inputs, 2, dy.array), norm(std::vector<int64_t>{});
    norm.values = {0};
    for (double value : dpool.values)
      norm.values[0] += value * value;
    double tolerance = rows < 100 ? 2e-5 : 1e-4;
    check({x, idx, w, pool, dy},
          "  %dx, %dw, %coef = peer.mix_grad %x, %idx, %w, %pool, %dy " + activation + " {rows_per_expert = " +
              std::to_string(rows) + " : i64} : " + type(x) + ", " + type(idx) + ", " + type(w) + ", " + type(pool) +
              ", " + type(dy) + "\n  %o, %s, %c = peer.sort_pairs %idx experts " + std::to_string(experts) + " : " +
              type(idx) + "\n  %dp = peer.pool_grad " + rowGrad + " {rows = " + std::to_string(experts * rows) +
              " : i64} : " + rowTypes + "\n  %norm = peer.pool_grad_norm " + rowGrad + " : " + rowTypes,
          {{"%dx", gradient(forward, inputs, 0, dy.array), true, "f32", tolerance},
           {"%dw", gradient(forward, inputs, 1, dy.array), true, "f32", tolerance},
           {"%dp", dpool, false, "f32", tolerance},
           {"%norm", norm, false, "f32", tolerance}});
  }
};

TEST_P(RoutingGrad, RouteOfProductKeys) { checkRoute(3, 3, 2, 6, 8); }
TEST_P(RoutingGrad, RouteOfSharedProductKeys) { checkRoute(3, 1, 2, 5, 17); }
TEST_P(RoutingGrad, RouteOfRouter) { checkRoute(2, 2, 1, 9, 5); }
TEST_P(RoutingGrad, RouteOfSharedRouter) { checkRoute(2, 1, 1, 9, 33); }
TEST_P(RoutingGrad, RouteOfBF16Keys) { checkRoute(2, 2, 2, 5, 19, "bf16"); }

TEST_P(RoutingGrad, GateSoftmax) { checkGate("softmax", Gate::Softmax); }
TEST_P(RoutingGrad, GateSigmoid) { checkGate("sigmoid", Gate::Sigmoid); }
TEST_P(RoutingGrad, GateRelu) { checkGate("relu", Gate::Relu); }
TEST_P(RoutingGrad, GateOne) { checkGate("one", Gate::One); }

TEST_P(RoutingGrad, MixOfNeurons) { checkMix(9, 32, 2, 1, "gelu"); }
TEST_P(RoutingGrad, MixOfOddWidth) { checkMix(3, 37, 2, 1, "silu"); }
TEST_P(RoutingGrad, MixOfNarrowWidth) { checkMix(1, 5, 2, 1, "gelu"); }
TEST_P(RoutingGrad, MixOfValues) { checkMix(4, 21, 1, 1, ""); }
TEST_P(RoutingGrad, MixOfGatedNeurons) { checkMix(6, 20, 3, 1, "silu"); }
TEST_P(RoutingGrad, MixOfManyRows) { checkMix(4, 10, 3, 3, "gelu"); }
TEST_P(RoutingGrad, MixOfManyValues) { checkMix(4, 7, 1, 3, "gelu"); }
TEST_P(RoutingGrad, MixByExpert) { checkMix(8, 6, 3, 16, "silu", "f32", 2); }
TEST_P(RoutingGrad, MixOfWideRows) { checkMix(2, 300, 2, 1, "gelu", "f32", 3); }
TEST_P(RoutingGrad, MixOfSeveralChunks) { checkMix(1, 3, 2, 700, "gelu", "f32", 2); }
TEST_P(RoutingGrad, MixOfBF16Rows) { checkMix(5, 40, 2, 1, "gelu", "bf16"); }

INSTANTIATE_ROUTING_OPS(RoutingGrad);

} // namespace
} // namespace peer::numerics
