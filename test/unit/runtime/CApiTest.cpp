// The C interface but for what depends on the device: RunTest.cpp has that.
#include "ProgramTestSupport.h"

#include <cstddef>
#include <thread>

using namespace peer::runtime;

namespace {
constexpr size_t kBeforeThreads = offsetof(peer_options, threads);

/// Adds y = factor * x, which updates nothing.
nlohmann::json manifestWithApply() {
  nlohmann::json manifest = testManifest(), apply = manifest["entries"][0];
  apply["name"] = "apply";
  apply["symbol"] = "entry_apply";
  apply["arguments"] = {apply["arguments"][0], apply["arguments"][1]};
  apply["kernels"] = nlohmann::json::array();
  manifest["entries"].push_back(apply);
  return manifest;
}

class CApi : public testing::Test {
protected:
  TemporaryFolder folder;
  Program program{"cpu", writeArtifact(folder, manifestWithApply())};
  peer_artifact *artifact = program.artifact;

  static peer_view view(const char *dtype, const std::vector<int64_t> &shape, void *data) {
    return {sizeof(peer_view), PEER_CPU, 0, dtype, shape.size(), shape.data(), nullptr, data};
  }
};
} // namespace

TEST_F(CApi, WhatThereIs) {
  EXPECT_EQ(peer_abi_version(), 1u);
  EXPECT_STREQ(peer_version(), "0.1.0");
  ASSERT_EQ(peer_entry_count(artifact), 5u);
  EXPECT_STREQ(peer_entry_name(artifact, 0), "scale");
  EXPECT_EQ(peer_entry_name(artifact, 5), nullptr);
  EXPECT_EQ(peer_entry_count(nullptr), 0u);
  const char *json = nullptr;
  size_t bytes = 0;
  ASSERT_EQ(peer_manifest(artifact, &json, &bytes), PEER_OK);
  EXPECT_EQ(std::string(json, bytes), manifestWithApply().dump());
  EXPECT_EQ(json[bytes], '\0');
}

TEST_F(CApi, IntegersAndScalarsInTheManifestsOrder) {
  int32_t tokens[3] = {1, 2, 255}, position = 7;
  int64_t sum = 0, again = 0;
  std::vector<int64_t> three{3}, none;
  std::vector<peer_view> results{view("i64", none, &sum), view("i64", none, &again)};
  auto run = [&](const peer_options *options = nullptr) {
    return program.run("sum", {view("i32", three, tokens), view("i32", none, &position)}, results, options);
  };
  EXPECT_EQ(run(), "");
  EXPECT_EQ(sum, 265);
  EXPECT_EQ(again, 265);
  tokens[1] = 256;
  position = 3;
  EXPECT_EQ(run(), "entry \"sum\": input \"tokens\" holds 256 at position 1, expected values in [0, 256)");
  peer_options trust{.size = kBeforeThreads, .flags = PEER_TRUST_INPUTS, .threads = -7, .stream = nullptr};
  EXPECT_EQ(run(&trust), "") << "what the size leaves out is not looked at";
  EXPECT_EQ(sum, 1 + 256 + 255 + 3);
  tokens[1] = 0;
  position = 100;
  EXPECT_EQ(run(), "entry \"sum\": scalar \"position\" is 100, expected a value in [0, 100)");
  EXPECT_EQ(sum, 1 + 256 + 255 + 3) << "a refused call writes nothing";
}

TEST_F(CApi, OptionsOfOtherVersions) {
  peer_options options{.size = sizeof options + 8, .flags = 0, .threads = 0, .stream = nullptr};
  EXPECT_EQ(program.run("greedy", {}, {}, &options),
            "the peer_options say that they have 32 bytes, and those of this library (version 1 of the interface) "
            "have 24: the program was built for a later one");
  options.size = 4;
  EXPECT_EQ(program.run("greedy", {}, {}, &options), "the peer_options say that they have 4 bytes, expected 24");
  options.size = sizeof options;
  options.flags = 6;
  EXPECT_EQ(program.run("greedy", {}, {}, &options), "the flags of the peer_options are 6, which are not known");
  options.flags = 0;
  options.stream = &options;
  EXPECT_EQ(program.run("greedy", {}, {}, &options),
            "entry \"greedy\": a stream was given, and the device cpu has none");
  int64_t four[1] = {4};
  float values[4] = {};
  peer_view factor{sizeof factor + 8, PEER_CPU, 0, "f32", 1, four, nullptr, values};
  EXPECT_EQ(peer_bind(artifact, "factor", &factor), PEER_ERROR);
  factor.size = sizeof factor;
  EXPECT_EQ(peer_bind(artifact, "factor", &factor), PEER_OK);
}

TEST_F(CApi, FailuresWithinACall) {
  for (int call = 0; call < 2; ++call)
    EXPECT_NE(program.run("greedy", {}, {}).find("out of memory: the compiled code needs 1.1 PB more"),
              std::string::npos);
  float y[3] = {};
  std::vector<int64_t> two{2};
  EXPECT_EQ(program.run("liar", {}, {view("f32", two, y)}),
            "entry \"liar\": result \"y\" has shape [3], and the manifest says [2]");
}

TEST_F(CApi, ChecksAreNoResultsButMayBeAskedFor) {
  nlohmann::json manifest = testManifest(), checked = manifest["entries"][3];
  checked["symbol"] = "entry_checked";
  checked["results"] = nlohmann::json::parse(R"json([
    {"name": "y", "dtype": "f32", "shape": []},
    {"name": "c", "dtype": "f32", "shape": [],
     "check": {"what": "peer.embedding (m.mlir:5:8)", "range": [0, 8]}}])json");
  manifest["entries"] = {checked};
  Program with("cpu", writeArtifact(folder, manifest, "CHECKED.peer"));
  float y = 0, count = 0;
  std::vector<int64_t> none;
  std::string expected = "entry \"liar\" of " + (folder / "CHECKED.peer") +
                         ": 2 indices of peer.embedding (m.mlir:5:8) are out of range, expected values in [0, 8)";
  EXPECT_EQ(with.run("liar", {}, {view("f32", none, &y)}), expected);
  EXPECT_EQ(y, 1.0f);
  EXPECT_EQ(with.run("liar", {}, {view("f32", none, &y), view("f32", none, &count)}), "");
  EXPECT_EQ(count, 2.0f);
}

TEST_F(CApi, ErrorsAreSentences) {
  peer_artifact *other = artifact;
  EXPECT_EQ(peer_open("/nonexistent/M.peer", &other), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "cannot open /nonexistent/M.peer: No such file or directory");
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(peer_open(nullptr, &other), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "path is a null pointer");
  EXPECT_EQ(peer_run(nullptr, "x", nullptr, 0, nullptr, 0, nullptr), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "artifact is a null pointer");
  EXPECT_EQ(peer_run(artifact, nullptr, nullptr, 0, nullptr, 0, nullptr), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "entry is a null pointer");
  EXPECT_EQ(peer_run(artifact, "apply", nullptr, 1, nullptr, 1, nullptr), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "arguments is a null pointer");
  EXPECT_EQ(peer_manifest(artifact, nullptr, nullptr), PEER_ERROR);
  EXPECT_EQ(peer_bind(artifact, nullptr, nullptr), PEER_ERROR);
  EXPECT_EQ(peer_tensor(artifact, "factor", nullptr), PEER_ERROR);
  EXPECT_EQ(program.run("nothing", {}, {}),
            (folder / "MODEL.peer") + " has no entry \"nothing\" (it has: scale, sum, greedy, liar, apply)");
  peer_close(nullptr);
}

// Functions that update nothing run at once, on what others bind and update meanwhile: each call sees one state of it.
TEST_F(CApi, ManyThreadsOnOneHandle) {
  float twos[4] = {2, 2, 2, 2}, threes[4] = {3, 3, 3, 3}, counted = 0;
  std::vector<int64_t> four{4}, rows{2, 4}, none;
  peer_view two = view("f32", four, twos), three = view("f32", four, threes), calls = view("f32", none, &counted);
  ASSERT_EQ(peer_bind(artifact, "factor", &two), PEER_OK);
  ASSERT_EQ(peer_bind(artifact, "state:calls", &calls), PEER_OK);
  constexpr int kThreads = 4, kCalls = 400;
  std::atomic<int> wrong = 0;
  auto work = [&](int number) {
    for (int call = 0; call < kCalls; ++call) {
      auto value = static_cast<float>(kCalls * number + call);
      float x[8], y[8], gain = 1;
      std::fill_n(x, 8, value);
      peer_view in[2] = {view("f32", rows, x), view("f32", none, &gain)}, out = view("f32", rows, y);
      bool updates = call % 8 == 0;
      if (peer_run(artifact, updates ? "scale" : "apply", in, updates ? 2 : 1, &out, 1, nullptr) != PEER_OK)
        ++wrong;
      for (float each : y)
        wrong += each != y[0] || (each != 2 * value && each != 3 * value);
      if (call % 50 == number && peer_bind(artifact, "factor", call % 100 < 50 ? &three : &two) != PEER_OK)
        ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number)
    threads.emplace_back(work, number);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(counted, static_cast<float>(kThreads * kCalls / 8));
}
