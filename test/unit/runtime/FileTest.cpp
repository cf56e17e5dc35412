#include "core/File.h"
#include "core/Outputs.h"

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

TEST(File, AReplacedFileLeavesItsMode) {
  TemporaryFolder folder;
  auto mode = [&](const char *name) {
    struct stat info{};
    return stat((folder / name).c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  };
  mode_t mask = umask(022);
  EXPECT_OK(writeFile(folder / "new", "x"));
  EXPECT_EQ(mode("new"), 0644u);
  for (mode_t kept : {0600u, 0664u, 0755u, 0400u}) {
    ASSERT_EQ(chmod((folder / "new").c_str(), kept), 0);
    EXPECT_OK(writeFile(folder / "new", "y"));
    EXPECT_EQ(mode("new"), kept);
  }
  std::filesystem::create_symlink("new", folder / "link");
  EXPECT_OK(writeFile(folder / "link", "z"));
  EXPECT_EQ(mode("new"), 0400u);
  umask(mask);
}

TEST(File, AnOutputIsNoInput) {
  TemporaryFolder folder;
  EXPECT_OK(writeFile(folder / "a", "x"));
  EXPECT_OK(writeFile(folder / "b", "x"));
  std::filesystem::create_symlink("a", folder / "soft");
  std::filesystem::create_hard_link(folder / "a", folder / "hard");
  std::string a = folder / "a";
  EXPECT_EQ(errorOf(checkOutput("--out", a, {"", folder / "b", a})),
            concat("--out ", a, " names a file that is read: expected another one"));
  for (const char *same : {"soft", "hard", "./a", "../"})
    if (std::string name = folder / same; isSameFile(name, a))
      EXPECT_EQ(errorOf(checkOutput("--out", name, {a})),
                concat("--out ", name, " names a file that is read (", a, "): expected another one"));
    else
      EXPECT_STREQ(same, "../");
  EXPECT_OK(checkOutput("--out", folder / "b", {a}));
  EXPECT_OK(checkOutput("--out", folder / "none", {a, folder / "none"}));
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
