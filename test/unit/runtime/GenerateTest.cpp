// Sampling, and generation through prefill, decode and their caches.

#include "FakeLanguageModel.h"

#include "lm/Generate.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace peer::runtime;

namespace {

TEST(SampleTest, TemperatureZeroTakesTheLikeliestLowestIndex) {
  std::vector<float> logits{1, 3, 3, NAN, -INFINITY};
  EXPECT_EQ(sampleToken(logits, {0.0, 1.0}, 0.99), 1);
  EXPECT_EQ(sampleToken(std::vector<float>{NAN, NAN}, {0.0, 1.0}, 0.5), -1);
  EXPECT_EQ(sampleToken(std::vector<float>{0, INFINITY}, {1.0, 1.0}, 0.0), 1);
}

TEST(SampleTest, NucleusKeepsTheSmallestSet) {
  std::vector<float> logits{std::log(0.1f), std::log(0.6f), std::log(0.3f)};
  auto at = [&](double topP, double unit) { return sampleToken(logits, {1.0, topP}, unit); };
  EXPECT_EQ(at(0.0, 0.999), 1);
  EXPECT_EQ(at(0.5, 0.999), 1);
  EXPECT_EQ(at(0.8, 0.999), 2);
  EXPECT_EQ(at(0.8, 0.66), 1); // 0.6 of the 0.9 that take part
  EXPECT_EQ(at(1.0, 0.95), 0);
  EXPECT_EQ(at(1.0, 0.0), 1);
}

class GenerateTest : public testing::Test {
protected:
  void SetUp() override {
    Result<std::unique_ptr<Session>> opened = Session::open(fakeLanguageModel());
    ASSERT_TRUE(opened.ok()) << opened.message();
    session = std::move(opened).value();
    ASSERT_TRUE(session->initParameters(0).ok());
  }

  std::string generate(const std::string &prompt, int64_t tokens, SampleOptions sample = {0.0, 1.0},
                       uint64_t seed = 0) {
    std::string out;
    Result<GenerateStats> stats = generateText(*session, {prompt, tokens, sample, seed}, [&](char c) {
      out += c;
      return true;
    });
    return stats.ok() ? out : stats.message();
  }

  std::unique_ptr<Session> session;
};

TEST_F(GenerateTest, PositionsGoOnAfterThePrompt) {
  EXPECT_EQ(generate("xyz", 5), "cdefg");
  EXPECT_EQ(generate("", 3), "abc"); // a newline stands in
  EXPECT_EQ(generate("xyz", 0), "");
}

TEST_F(GenerateTest, GoesPastTheContextAndReadsTheEndOfALongPrompt) {
  EXPECT_EQ(generate("xyz", 30), "cdefghijklmnopqrstuvwxyzabcdef");
  EXPECT_EQ(generate(std::string(100, 'x'), 2), "pq"); // 16 tokens were read
}

TEST_F(GenerateTest, ASeedFixesTheText) {
  SampleOptions hot{2.0, 1.0};
  EXPECT_EQ(generate("x", 40, hot, 1), generate("x", 40, hot, 1));
  EXPECT_NE(generate("x", 40, hot, 1), generate("x", 40, hot, 2));
  EXPECT_EQ(generate("x", 4, {1.0, 0.01}, 1), "abcd");
}

} // namespace
