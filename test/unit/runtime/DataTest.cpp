// Reading text, splitting it, and drawing windows from it.

#include "FakeLanguageModel.h"

#include "Data.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace peer::runtime;

namespace {

std::string text(const Result<Text> &read) {
  return read.ok() ? std::string(read->begin(), read->end()) : read.message();
}

TEST(DataTest, ReadsADirectoryInOrderAndEachFileOnce) {
  TemporaryFolder directory;
  writeText(directory, "d/b", "two ");
  writeText(directory, "d/a/z", "one ");
  writeText(directory, "d/c", "three ");
  writeText(directory, "d/empty", "");
  writeText(directory, "outside", "four ");
  std::filesystem::create_symlink("b", directory / "d/link-to-b");
  std::filesystem::create_symlink("../outside", directory / "d/link-out");
  std::filesystem::create_symlink("nowhere", directory / "d/dangling");
  std::filesystem::create_symlink(".", directory / "d/loop");
  EXPECT_EQ(text(readText(directory / "d")), "one two three four ");
  EXPECT_EQ(text(readText(directory / "d/b")), "two ");
}

TEST(DataTest, RefusesWhatHoldsNoText) {
  TemporaryFolder directory;
  std::filesystem::create_directory(directory / "d");
  EXPECT_EQ(readText(directory / "d").message(), "the data " + (directory / "d") + " is empty: expected text");
  EXPECT_NE(readText(directory / "x").message().find("cannot read the data " + (directory / "x")), std::string::npos);
  EXPECT_NE(readText("/dev/null").message().find("expected a file or a directory"), std::string::npos);
}

TEST(DataTest, HoldsOutTheEnd) {
  Text bytes(1000, 'x');
  Result<TextSplit> split = splitText(bytes, 16, "t");
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->train.size(), 950u);
  EXPECT_EQ(split->validation.size(), 50u);
  EXPECT_EQ(splitText(bytes, 100, "t")->validation.size(), 101u);
  EXPECT_NE(splitText(bytes, 500, "t").message().find("expected at least 1002"), std::string::npos);
  EXPECT_NE(splitText(bytes, 1000, "t").message().find("expected at least 1001"), std::string::npos);
}

TEST(DataTest, WindowsDependOnSeedAndStepAlone) {
  Text bytes(300);
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>(i % 251);
  std::vector<int32_t> tokens(64), targets(64), again(64), ignored(64);
  for (int step = 1; step < 500; ++step) {
    drawWindows(bytes, 8, 3, step, tokens, targets);
    for (size_t i = 0; i < tokens.size(); ++i)
      EXPECT_EQ(targets[i], (tokens[i] + 1) % 251);
  }
  drawWindows(bytes, 8, 3, 9, tokens, targets);
  drawWindows(bytes, 8, 3, 9, again, ignored);
  EXPECT_EQ(tokens, again);
  drawWindows(bytes, 8, 3, 10, again, ignored);
  EXPECT_NE(tokens, again);
  drawWindows(bytes, 8, 4, 9, again, ignored);
  EXPECT_NE(tokens, again);
  // A text of one window has one place.
  drawWindows(TextView(bytes).first(9), 8, 3, 1, std::span(tokens).first(8), std::span(targets).first(8));
  EXPECT_EQ(tokens[0], 0);
  EXPECT_EQ(targets[7], 8);
}

TEST(DataTest, UnigramEntropy) {
  Text bytes{'a', 'b', 'a', 'b'};
  EXPECT_NEAR(unigramEntropy(bytes), std::log(2.0), 1e-12);
  EXPECT_EQ(unigramEntropy(Text(5, 'a')), 0.0);
  EXPECT_EQ(countContexts(bytes, 3), 1);
  EXPECT_EQ(countContexts(bytes, 4), 0);
}

} // namespace
