// Reading text, splitting it, and drawing windows from it.

#include "FakeLanguageModel.h"

#include "lm/Data.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace peer::runtime;

namespace {

std::string text(const Result<TextSource> &read) {
  return read.ok() ? std::string(read->bytes.begin(), read->bytes.end()) : read.message();
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

TEST(DataTest, LeavesOutWhatIsNoTextAndSaysSo) {
  using namespace std::string_literals;
  TemporaryFolder directory;
  writeText(directory, "d/a", "plain ");
  writeText(directory, "d/latin1", "caf\xe9 ");
  writeText(directory, "d/.hidden", "x");
  writeText(directory, "d/.git/config", "x");
  writeText(directory, "d/b.gz", "\x1f\x8b\x08 compressed");
  writeText(directory, "d/c.zip", "PK\x03\x04 compressed");
  writeText(directory, "d/tar", std::string(257, '0') + "ustar");
  writeText(directory, "d/model",
            "\x7f"
            "ELF\0"s);
  writeText(directory, "d/pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  writeText(directory, "d/words", "GGUF ");
  writeText(directory, "d/utf16", "\xff\xfet\0e\0"s);
  writeText(directory, "d/utf16-without-mark", "t\0e\0x\0t\0t\0e\0x\0t\0"s);
  writeText(directory, "d/utf32", "\xff\xfe\0\0t\0\0\0"s);
  writeText(directory, "d/old.run/log.jsonl", "{\"run\":{}}\n");
  writeText(directory, "outside/e", "linked");
  std::filesystem::create_directory_symlink("../outside", directory / "d/linked");
  std::filesystem::create_directory_symlink("..", directory / "d/cycle");
  std::filesystem::create_symlink("nowhere", directory / "d/broken");
  std::filesystem::create_hard_link(directory / "d/a", directory / "d/z");
  Result<TextSource> read = readText(directory / "d");
  EXPECT_EQ(text(read), "plain caf\xe9 GGUF ");
  EXPECT_EQ(read->summary(),
            "3 files, 16 bytes, 1 of them not in UTF-8 and read as it is; left out: 1 Git LFS pointer, "
            "2 UTF-16 files, 1 UTF-32 file, 3 archives, 1 binary file, 1 broken link, 1 duplicate link, 1 hidden "
            "directory, 1 hidden file, 2 linked directories, 1 training run");
  EXPECT_EQ(read->place(0), directory / "d/a" + " at offset 0");
  EXPECT_EQ(read->place(9), directory / "d/latin1" + " at offset 3");

  // A file that is named itself is refused where it is surely a mistake, and read where it may be meant.
  EXPECT_EQ(text(readText(directory / "d/b.gz")),
            "the data " + (directory / "d/b.gz") + " is an archive or compressed: expected text, unpack it first");
  EXPECT_EQ(text(readText(directory / "d/pointer")), "the data " + (directory / "d/pointer") +
                                                         " is a Git LFS pointer, not the text it stands for: run git "
                                                         "lfs pull");
  EXPECT_NE(text(readText(directory / "d/utf16"))
                .find("is UTF-16: expected text of bytes, such as \"iconv -f UTF-16 -t UTF-8\""),
            std::string::npos);
  EXPECT_EQ(text(readText(directory / "d/model")), "\x7f"
                                                   "ELF\0"s);
  EXPECT_EQ(text(readText(directory / "d/.hidden")), "x");
  EXPECT_EQ(text(readText(directory / "d/.git")), "x");
  std::filesystem::remove(directory / "d/a");
  std::filesystem::remove(directory / "d/z");
  std::filesystem::remove(directory / "d/latin1");
  std::filesystem::remove(directory / "d/words");
  EXPECT_NE(text(readText(directory / "d"))
                .find(" holds no text: expected some (left out: 1 Git LFS pointer, 2 UTF-16 files"),
            std::string::npos);
}

TEST(DataTest, ReadsTheFilesItIsGiven) {
  TemporaryFolder directory;
  writeText(directory, "d/a", "one ");
  writeText(directory, "d/b/c", "two ");
  Result<TextSource> first = readText(directory / "d");
  ASSERT_TRUE(first.ok());
  writeText(directory, "d/aa", "later ");
  TextChoice again{"", first->files};
  EXPECT_EQ(text(readText(directory / "d", again)), "one two ");
  writeText(directory, "d/a", "three ");
  EXPECT_EQ(text(readText(directory / "d", again)), "the text from " + (directory / "d") +
                                                        " is not the one its run began with: " + (directory / "d/a") +
                                                        " has 6 bytes, expected 4");
  std::filesystem::remove(directory / "d/a");
  EXPECT_NE(text(readText(directory / "d", again)).find("cannot read " + (directory / "d/a")), std::string::npos);
}

TEST(DataTest, FindsTheByteThatAModelLacks) {
  TemporaryFolder directory;
  writeText(directory, "d/a", "abc");
  writeText(directory, "d/b", "de\xe9");
  Result<TextSource> read = readText(directory / "d");
  EXPECT_TRUE(checkTextRange(*read, {0, 256}, "m.peer").ok());
  EXPECT_TRUE(checkTextRange(*read, {97, 234}, "m.peer").ok());
  EXPECT_EQ(checkTextRange(*read, {0, 128}, "m.peer").message(),
            "the data " + (directory / "d/b") +
                " at offset 2 has the byte 233: expected bytes from 0 to 127, which m.peer knows");
  EXPECT_NE(checkTextRange(*read, {98, 256}, "m.peer").message().find("d/a at offset 0 has the byte 97"),
            std::string::npos);
}

TEST(DataTest, KnowsUtf8) {
  for (const char *good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbb\xbf"})
    EXPECT_TRUE(isUtf8(good)) << good;
  for (const char *bad :
       {"\xe9", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\x80"})
    EXPECT_FALSE(isUtf8(bad)) << bad;
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
  // Micro-batches have the windows of the batch.
  drawWindows(bytes, 8, 3, 9, std::span(again).first(32), std::span(ignored).first(32), {0, 2});
  drawWindows(bytes, 8, 3, 9, std::span(again).last(32), std::span(ignored).last(32), {1, 2});
  EXPECT_EQ(tokens, again);
  EXPECT_EQ(targets, ignored);
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
