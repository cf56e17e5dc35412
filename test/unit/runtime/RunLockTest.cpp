// One process at a time in a run directory.

#include "TestSupport.h"

#include "lm/training/RunLock.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace peer::runtime;

namespace {

/// A process that holds the lock of a directory until it is told to go, or killed.
class Holder {
public:
  explicit Holder(const std::string &directory) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    child = fork();
    if (child == 0) {
      Result<RunLock> lock = RunLock::acquire(directory);
      (void)!write(ready[1], lock.ok() ? "y" : "n", 1);
      pause();
      _exit(0);
    }
    char answer = 0;
    EXPECT_EQ(read(ready[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    close(ready[0]);
    close(ready[1]);
  }
  ~Holder() {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  pid_t child;
};

TEST(RunLock, TheSecondIsRefusedByNameOfTheFirst) {
  TemporaryFolder folder;
  {
    Holder holder(folder / ".");
    std::string message = errorOf(RunLock::acquire(folder / "."));
    EXPECT_NE(message.find(concat(" is in use by process ", holder.child, " on ")), std::string::npos) << message;
    EXPECT_NE(message.find(" UTC: wait for its end, or name another directory with --out"), std::string::npos)
        << message;
  }
  // What a killed process leaves is no obstacle.
  EXPECT_EQ(folder.files(), std::vector<std::string>{"lock"});
  {
    Result<RunLock> lock = RunLock::acquire(folder / ".");
    ASSERT_OK(lock);
    EXPECT_TRUE(lock->held());
    EXPECT_EQ(lock->warning(), "");
    EXPECT_FALSE(RunLock::acquire(folder / ".").ok());
  }
  EXPECT_TRUE(folder.files().empty());
}

TEST(RunLock, AnotherHostThatLeftItIsNamed) {
  TemporaryFolder folder;
  writeBytes(folder / "lock", "process 7 on elsewhere, since 2020-01-01 00:00:00 UTC\n");
  Result<RunLock> lock = RunLock::acquire(folder / ".");
  ASSERT_OK(lock);
  EXPECT_NE(lock->warning().find("was left by process 7 on elsewhere, since 2020"), std::string::npos);
}

TEST(RunLock, IsRemovedFromADirectoryThatMoved) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "a");
  {
    Result<RunLock> lock = RunLock::acquire(folder / "a");
    ASSERT_OK(lock);
    std::filesystem::rename(folder / "a", folder / "b");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "b"));
  EXPECT_NE(errorOf(RunLock::acquire(folder / "a")).find("No such file or directory"), std::string::npos);
}

} // namespace
