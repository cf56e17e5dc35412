// Keys that the session keeps packed: whatever happens to the parameter, a route selects what one selects that is given the same keys with each call
// and packs them itself, or scores them all.
#include "RoutingOpTest.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

namespace peer::numerics {
namespace {

using namespace reference;
using runtime::TensorMap;

/// What is selected by keys that are a parameter (@kept), and by keys that are given (@given); a loss that moves them.
std::string model(int64_t heads, int64_t shared, int64_t halves, int64_t n, int64_t d, int64_t k) {
  auto text = [](auto... parts) { return (std::string() + ... + std::to_string(parts)); };
  std::string q = "tensor<?x" + text(heads) + "x" + text(halves) + "x" + text(d) + "xf32>",
              c = "tensor<" + text(shared ? 1 : heads) + "x" + text(halves) + "x" + text(n) + "x" + text(d) + "xf32>",
              s = "tensor<?x" + text(heads) + "x" + text(halves) + "x" + text(n) + "xf32>",
              some = "tensor<?x" + text(heads) + "x" + text(k);
  std::string route = "  %s = peer.score %q, %keys : " + q + ", " + c + "\n  %idx, %val = peer.select %s " +
                      (halves == 2 ? "product_topk<" : "topk<") + text(k) + "> : " + s +
                      "\n  %w = peer.gate %val softmax : " + some + "xf32>\n";
  std::string results = "(" + some + "xi32> {peer.name = \"idx\"}, " + some + "xf32> {peer.name = \"w\"}, " + some +
                        "xf32> {peer.name = \"val\"})",
              end = "  return %idx, %w, %val : " + some + "xi32>, " + some + "xf32>, " + some + "xf32>\n}\n",
              parameter = "  %keys = peer.param \"keys\" normal(1.0) : " + c + "\n";
  return "func.func @kept(%q: " + q + " {peer.name = \"q\"}) -> " + results + " {\n" + parameter + route + end +
         "func.func @given(%q: " + q + " {peer.name = \"q\"}, %keys: " + c + " {peer.name = \"keys\"}) -> " + results +
         " {\n" + route + end + "func.func @loss(%q: " + q +
         " {peer.name = \"q\"}) -> (tensor<f32> {peer.name = \"loss\"}) {\n" + parameter + route +
         "  %flat = peer.reshape %val to tensor<?xf32> : " + some +
         "xf32>\n  %mean = peer.mean %flat : tensor<?xf32>\n  return %mean : tensor<f32>\n}\n" +
         "peer.train @step of @loss {optimizer = #peer.sgd<learning_rate = 1.0>}\n";
}

struct KeptKeys : ::testing::Test {
  void compile(std::vector<int64_t> shape, int64_t heads, int64_t k) {
    program = Compiled::compile(model(heads, shape[0] == 1, shape[1], shape[2], shape[3], k), Code::Vectors);
    ASSERT_TRUE(program);
    ASSERT_TRUE(program->initParameters(1));
    keyShape = shape;
    queryShape = {0, heads, shape[1], shape[3]};
    const char *target = std::getenv("PEER_TEST_TARGET");
    packs = !target || std::strcmp(target, "cpu:x86-64-v2") != 0;
    ASSERT_EQ(program->session().manifest().derivations.size(), packs ? 1u : 0u);
  }

  runtime::Tensor queries(int64_t tokens, uint32_t seed) {
    queryShape[0] = tokens;
    return toTensor(reference::random(queryShape, seed));
  }

  std::span<float> keys() { return program->session().parameters().at("keys").as<float>(); }

  /// Both select the same of these keys, bit for bit.
  void check(std::span<const float> expected, std::vector<int64_t> counts = {1, 3, 7, 40}) {
    runtime::Tensor given = toTensor(Array(keyShape));
    std::copy(expected.begin(), expected.end(), given.as<float>().begin());
    for (int64_t tokens : counts) {
      TensorMap inputs, alone;
      inputs.emplace("q", queries(tokens, static_cast<uint32_t>(tokens)));
      alone.emplace("q", queries(tokens, static_cast<uint32_t>(tokens)));
      auto copy = given.clone();
      ASSERT_TRUE(copy.ok());
      inputs.emplace("keys", std::move(*copy));
      TensorMap wanted = program->call("given", inputs), got = program->call("kept", alone);
      ASSERT_EQ(got.size(), 3u);
      for (const auto &[name, tensor] : got)
        ASSERT_TRUE(!packs || std::memcmp(tensor.data(), wanted.at(name).data(), tensor.bytes()) == 0)
            << name << " of " << tokens << " tokens";
    }
  }

  std::unique_ptr<Compiled> program;
  std::vector<int64_t> keyShape, queryShape;
  bool packs = true;
};

TEST_F(KeptKeys, SelectAsGivenOnes) {
  compile({2, 2, 200, 32}, 2, 16);
  check(keys());
  compile({1, 2, 333, 48}, 3, 5);
  check(keys());
  compile({1, 1, 64, 16}, 1, 1);
  check(keys());
}

// Zeros, denormal and huge numbers, none, nearly equal keys, and all of them at once, which change as the parameter does.
TEST_F(KeptKeys, FollowWhatIsWritten) {
  compile({1, 2, 130, 32}, 2, 8);
  std::mt19937 random(5);
  for (float scale : {0.0f, 1e-41f, 1e-20f, 1.0f, 1e15f, 1e25f, NAN, INFINITY}) {
    for (float &key : keys())
      key = random() % 3 ? key : scale * (static_cast<float>(random() % 1000) - 500);
    check(keys());
  }
  std::span<float> all = keys();
  for (size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<float>(std::cos(i % 32) + 1e-7 * static_cast<double>(i % 5));
  check(keys());
}

TEST_F(KeptKeys, FollowTraining) {
  compile({1, 1, 200, 16}, 2, 4);
  const runtime::Entry *entry = *program->session().entry("step");
  std::vector<float> before(keys().begin(), keys().end());
  for (int step = 1; step <= 3; ++step) {
    TensorMap inputs;
    inputs.emplace("q", queries(20, 9));
    runtime::ScalarMap scalars = program->session().defaultScalars(*entry);
    program->call("step", inputs, scalars);
    // Nothing asks for the parameter before the next call.
    TensorMap few;
    few.emplace("q", queries(2, 10));
    TensorMap got = program->call("kept", few);
    check(std::as_const(program->session()).parameters().at("keys").as<float>());
    TensorMap again = program->call("kept", few);
    EXPECT_EQ(std::memcmp(got.at("val").data(), again.at("val").data(), got.at("val").bytes()), 0);
  }
  EXPECT_FALSE(std::ranges::equal(before, keys()));
}

// A caller's memory may change at any time, and so may the library's once a caller knows where it is.
TEST_F(KeptKeys, FollowMemoryOfACallers) {
  compile({1, 2, 100, 32}, 1, 4);
  runtime::Session &session = program->session();
  std::vector<float> own(keys().begin(), keys().end());
  check(own);
  peer_view view{sizeof(peer_view), PEER_CPU, 0, "f32", 4, keyShape.data(), nullptr, own.data()};
  ASSERT_TRUE(session.bind("keys", view).ok());
  for (int round = 0; round < 3; ++round) {
    check(own);
    for (float &key : own)
      key = -key + 0.25f;
  }
  std::vector<float> last = own;
  ASSERT_TRUE(session.unbind("keys").ok());
  own.assign(own.size(), 1.0f);
  check(last);

  ASSERT_TRUE(session.view("keys", view).ok());
  auto *seen = static_cast<float *>(view.data);
  for (int round = 0; round < 3; ++round) {
    check({seen, own.size()});
    std::reverse(seen, seen + own.size());
  }
  ASSERT_TRUE(session.unbind("keys").ok());
  check({seen, own.size()});
}

// They are nobody's parameter, state or entry.
TEST_F(KeptKeys, AreNotSeen) {
  compile({1, 1, 200, 16}, 2, 4);
  check(keys());
  runtime::Session &session = program->session();
  EXPECT_EQ(session.parameters().size(), 1u);
  EXPECT_EQ(session.states().size(), 0u);
  for (const runtime::Entry &entry : session.manifest().entries)
    EXPECT_NE(entry.kind, runtime::EntryKind::Derive);
}

} // namespace
} // namespace peer::numerics
