// Signals that reach a training run.

#include "lm/training/TrainInterrupt.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace peer::runtime;

namespace {

/// The status of a child that runs `body`, which returns its exit code.
template <typename Body>
int inChild(Body body) {
  pid_t child = fork();
  if (child == 0)
    _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

void resetAll() {
  for (int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1, SIGPIPE, SIGXFSZ})
    std::signal(signal, SIG_DFL);
}

TEST(TrainInterrupt, RemembersWhatAsksToStop) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGXCPU})
    EXPECT_EQ(WEXITSTATUS(inChild([&] {
                resetAll();
                TrainInterrupt interrupt;
                raise(signal);
                // The same again within a moment is one request.
                raise(signal);
                return TrainInterrupt::received();
              })),
              signal);
}

TEST(TrainInterrupt, ASecondRequestEndsTheProcess) {
  for (int second : {SIGINT, SIGTERM}) {
    int status = inChild([&] {
      resetAll();
      TrainInterrupt interrupt;
      raise(SIGINT);
      usleep(300'000);
      raise(second);
      return 0;
    });
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), second);
  }
}

TEST(TrainInterrupt, TheEndOfTheTerminalIsNoSecondRequest) {
  EXPECT_EQ(WEXITSTATUS(inChild([] {
              resetAll();
              TrainInterrupt interrupt;
              raise(SIGTERM);
              usleep(300'000);
              raise(SIGHUP);
              return TrainInterrupt::received();
            })),
            SIGTERM);
}

TEST(TrainInterrupt, WhatWasIgnoredStaysIgnored) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
    EXPECT_EQ(WEXITSTATUS(inChild([&] {
                resetAll();
                std::signal(signal, SIG_IGN);
                TrainInterrupt interrupt;
                raise(signal);
                return TrainInterrupt::received() + TrainInterrupt::takeSaveRequest();
              })),
              0);
  // A background process of a shell, which ignores both keys' signals: one that is sent to it is meant for it.
  EXPECT_EQ(WEXITSTATUS(inChild([] {
              resetAll();
              std::signal(SIGINT, SIG_IGN);
              std::signal(SIGQUIT, SIG_IGN);
              TrainInterrupt interrupt;
              kill(getpid(), SIGINT);
              return TrainInterrupt::received();
            })),
            SIGINT);
}

TEST(TrainInterrupt, ASaveIsAskedForOnce) {
  EXPECT_EQ(WEXITSTATUS(inChild([] {
              resetAll();
              TrainInterrupt interrupt;
              raise(SIGUSR1);
              bool first = TrainInterrupt::takeSaveRequest(), second = TrainInterrupt::takeSaveRequest();
              return first && !second && TrainInterrupt::received() == 0 ? 5 : 0;
            })),
            5);
}

TEST(TrainInterrupt, AClosedPipeIsAnErrorOfItsWrite) {
  EXPECT_EQ(WEXITSTATUS(inChild([] {
              resetAll();
              int ends[2];
              if (pipe(ends) != 0)
                return 0;
              close(ends[0]);
              TrainInterrupt interrupt;
              return write(ends[1], "x", 1) < 0 && errno == EPIPE ? 5 : 0;
            })),
            5);
}

TEST(TrainInterrupt, LeavesTheHandlersAsTheyWere) {
  EXPECT_EQ(WEXITSTATUS(inChild([] {
              resetAll();
              std::signal(SIGUSR1, SIG_IGN);
              {
                TrainInterrupt interrupt;
              }
              bool good = true;
              for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ})
                good &= std::signal(signal, SIG_DFL) == SIG_DFL;
              return good && std::signal(SIGUSR1, SIG_DFL) == SIG_IGN ? 5 : 0;
            })),
            5);
}

} // namespace
