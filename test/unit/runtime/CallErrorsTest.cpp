#include "session/Session.h"

#include "TestSupport.h"

#include <cmath>

using namespace peer::runtime;

namespace {
class CallErrors : public testing::Test {
protected:
  std::string scale(const char *name, Tensor tensor, ScalarMap scalars = {{"learning_rate.default", 1}}) {
    TensorMap inputs;
    inputs.emplace(name, std::move(tensor));
    return errorOf(session->call("scale", inputs, scalars));
  }
  std::string sum(const std::vector<int32_t> &tokens, double position) {
    TensorMap inputs;
    inputs.emplace("tokens", integers(tokens));
    return errorOf(session->call("sum", inputs, {{"position", position}}));
  }

  TemporaryFolder folder;
  std::unique_ptr<Session> session = openSession(folder);
};
} // namespace

TEST_F(CallErrors, UnknownEntry) {
  EXPECT_EQ(errorOf(session->call("layer", {})),
            concat(folder / "MODEL.peer", " has no entry \"layer\" (it has: scale, sum, greedy, liar)"));
}

TEST_F(CallErrors, Names) {
  EXPECT_EQ(errorOf(session->call("scale", {})), "entry \"scale\": the input \"x\" (f32 [T, 4]) is missing");
  EXPECT_EQ(scale("z", floats({2, 4}, std::vector<float>(8))),
            "entry \"scale\": it has no input \"z\" (its inputs: x)");
  EXPECT_EQ(scale("factor", floats({4}, std::vector<float>(4))),
            "entry \"scale\": it has no input \"factor\" (its inputs: x)");
  EXPECT_EQ(scale("x", floats({2, 4}, std::vector<float>(8)), {}),
            "entry \"scale\" takes the scalar \"learning_rate.default\", which was not given");
  EXPECT_EQ(scale("x", floats({2, 4}, std::vector<float>(8)), {{"x", 1}}), "entry \"scale\": it has no scalar \"x\"");
}

TEST_F(CallErrors, Types) {
  EXPECT_EQ(scale("x", integers({1, 2})), "entry \"scale\": input \"x\" is i32 [2], expected f32 [T, 4]");
  EXPECT_EQ(scale("x", floats({2, 3}, std::vector<float>(6))),
            "entry \"scale\": input \"x\" is f32 [2, 3], expected f32 [T, 4]");
  EXPECT_EQ(scale("x", floats({3, 4}, std::vector<float>(12))),
            "entry \"scale\": T is 3 by input \"x\", expected a multiple of 2");
}

TEST_F(CallErrors, NoParameters) {
  EXPECT_EQ(
      scale("x", floats({2, 4}, std::vector<float>(8))),
      concat("entry \"scale\" of ", folder / "MODEL.peer", " needs parameters, and none were loaded or initialised"));
}

TEST_F(CallErrors, Ranges) {
  EXPECT_EQ(sum({1, 256}, 0), "entry \"sum\": input \"tokens\" holds 256 at position 1, expected values in [0, 256)");
  EXPECT_EQ(sum({-1}, 0), "entry \"sum\": input \"tokens\" holds -1 at position 0, expected values in [0, 256)");
  EXPECT_EQ(sum({1}, 0.5), "entry \"sum\": scalar \"position\" is 0.5, expected an i32");
  EXPECT_EQ(sum({1}, 1e12), "entry \"sum\": scalar \"position\" is 1e+12, expected an i32");
  EXPECT_EQ(sum({1}, std::nan("")), "entry \"sum\": scalar \"position\" is nan, expected an i32");
  EXPECT_EQ(sum({1}, 100), "entry \"sum\": scalar \"position\" is 100, expected a value in [0, 100)");
}

TEST(CallErrorsOfT, InputsMustAgree) {
  TemporaryFolder folder;
  nlohmann::json manifest = testManifest();
  nlohmann::json second = manifest["entries"][0]["arguments"][0];
  second["name"] = "dy";
  manifest["entries"][0]["arguments"].push_back(second);
  auto session = Session::open(writeArtifact(folder, manifest)).value();
  TensorMap inputs;
  inputs.emplace("x", floats({2, 4}, std::vector<float>(8)));
  inputs.emplace("dy", floats({4, 4}, std::vector<float>(16)));
  EXPECT_EQ(errorOf(session->call("scale", inputs, {})),
            "entry \"scale\": T is 2 by input \"x\", but 4 by input \"dy\"");
}

// What compiled code counts that must not be.
TEST(CallErrorsOfChecks, AreNoResults) {
  TemporaryFolder folder;
  nlohmann::json manifest = testManifest(),
                 value = {{"name", "y"}, {"dtype", "f32"}, {"shape", nlohmann::json::array()}};
  nlohmann::json check = value;
  check["name"] = "check.0";
  check["check"] = {{"what", "peer.embedding (m.mlir:3:8)"}, {"range", {0, 8}}};
  manifest["entries"].push_back({{"name", "checked"},
                                 {"symbol", "entry_checked"},
                                 {"kind", "forward"},
                                 {"arguments", nlohmann::json::array()},
                                 {"results", {value, check}}});
  auto session = Session::open(writeArtifact(folder, manifest)).value();
  EXPECT_EQ(errorOf(session->call("checked", {})),
            concat("entry \"checked\" of ", folder / "MODEL.peer",
                   ": 2 indices of peer.embedding (m.mlir:3:8) are out of range, expected values in [0, 8)"));
  manifest["entries"].back()["results"] = {value, value};
  manifest["entries"].back()["results"][1]["name"] = "z";
  EXPECT_EQ(Session::open(writeArtifact(folder, manifest)).value()->call("checked", {}).value().size(), 2u);
  manifest["entries"].back()["results"] = {value, check};
  manifest["entries"].back()["results"][1]["shape"] = {2};
  std::string error = errorOf(Session::open(writeArtifact(folder, manifest)));
  EXPECT_NE(error.find("result \"check.0\": a check must be a scalar of f32"), std::string::npos) << error;
}
