#include "File.h"

#include "TestSupport.h"

#include <sys/stat.h>

using namespace peer::runtime;

TEST(File, WriteReplacesAndLeavesNothingElse) {
  TemporaryFolder folder;
  EXPECT_OK(writeFile(folder / "a", "old"));
  EXPECT_OK(writeFile(folder / "a", "new"));
  EXPECT_EQ(readFile(folder / "a").value(), "new");
  EXPECT_EQ(folder.files(), std::vector<std::string>{"a"});
}

TEST(File, WithoutCommitTheOldFileStays) {
  TemporaryFolder folder;
  EXPECT_OK(writeFile(folder / "a", "old"));
  {
    Result<AtomicFile> file = AtomicFile::create(folder / "a");
    ASSERT_OK(file);
    EXPECT_OK(file->write("half"));
    EXPECT_EQ(folder.files().size(), 2u);
  }
  EXPECT_EQ(readFile(folder / "a").value(), "old");
  EXPECT_EQ(folder.files(), std::vector<std::string>{"a"});
}

TEST(File, WritesThroughASymbolicLink) {
  TemporaryFolder folder;
  EXPECT_OK(writeFile(folder / "a", "old"));
  std::filesystem::create_symlink("a", folder / "link");
  EXPECT_OK(writeFile(folder / "link", "new"));
  EXPECT_EQ(readFile(folder / "a").value(), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
}

TEST(File, RefusesWhatIsNoFile) {
  TemporaryFolder folder;
  EXPECT_EQ(errorOf(writeFile(folder / ".", "x")), concat("cannot write ", folder / ".", ": it is a directory"));
  EXPECT_EQ(errorOf(writeFile("/dev/null", "x")), "cannot write /dev/null: it is not a regular file");
  EXPECT_EQ(errorOf(writeFile(folder / "none/a", "x")),
            concat("cannot write ", folder / "none/a", ": No such file or directory"));
  EXPECT_EQ(errorOf(readFile(folder / "none")), concat("cannot open ", folder / "none", ": No such file or directory"));
  EXPECT_EQ(errorOf(readFile(folder / ".")), concat("cannot read ", folder / ".", ": it is a directory"));
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(errorOf(readFile(folder / "pipe")), concat("cannot read ", folder / "pipe", ": it is not a regular file"));
}
