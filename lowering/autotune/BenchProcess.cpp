//===- BenchProcess.cpp - peer-run, which measures -----------------------===//

#include "BenchProcess.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;

namespace peer {

static Expected<std::string> findRunner() {
  if (auto given = sys::Process::GetEnv("PEER_RUN"); given && !given->empty()) {
    if (sys::fs::can_execute(*given))
      return *given;
    return createStringError("PEER_RUN is '" + *given + "', which is no program to measure with");
  }
  std::string here = sys::path::parent_path(sys::fs::getMainExecutable(nullptr, nullptr)).str();
  if (auto beside = sys::findProgramByName("peer-run", StringRef(here)))
    return *beside;
  if (auto found = sys::findProgramByName("peer-run"))
    return *found;
  return createStringError("--autotune measures with peer-run, which is neither in " + here +
                           " nor in PATH: set PEER_RUN to its path");
}

BenchProcess::~BenchProcess() {
  // It ends with its questions.
  if (questions)
    fclose(questions);
  if (answers)
    fclose(answers);
  while (child > 0 && waitpid(child, nullptr, 0) < 0 && errno == EINTR)
    ;
}

Error BenchProcess::start(StringRef artifact, StringRef entry, int64_t tokens) {
  auto found = findRunner();
  if (!found)
    return found.takeError();
  program = *found;
  std::vector<std::string> arguments{program, "bench", artifact.str(), entry.str(), "--against=-"};
  if (tokens > 0)
    arguments.push_back("--dim=T=" + std::to_string(tokens));
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  int to[2], from[2];
  auto cannot = [&](int error) { return createStringError("cannot run " + program + ": " + std::strerror(error)); };
  if (pipe2(to, O_CLOEXEC) != 0)
    return cannot(errno);
  if (pipe2(from, O_CLOEXEC) != 0) {
    int error = errno;
    close(to[0]), close(to[1]);
    return cannot(error);
  }
  // A child that ends is an answer that does not come.
  std::signal(SIGPIPE, SIG_IGN);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
  int error = posix_spawn(&child, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to[0]), close(from[1]);
  questions = fdopen(to[1], "w"), answers = fdopen(from[0], "r");
  if (error) {
    child = 0;
    return cannot(error);
  }
  return Error::success();
}

/// Its own sentence is on standard error already.
Error BenchProcess::failure() { return createStringError("--autotune: " + program + " bench measured nothing"); }

static bool take(const json::Array *values, std::vector<double> &into) {
  if (!values)
    return false;
  for (const json::Value &value : *values)
    into.push_back(value.getAsNumber().value_or(0));
  return true;
}

Expected<std::vector<BenchProcess::Times>> BenchProcess::compare(ArrayRef<std::string> others, int64_t rounds) {
  std::string question = std::to_string(rounds) + "\n";
  for (const std::string &other : others)
    question += other + "\n";
  question += "\n";
  if (fwrite(question.data(), 1, question.size(), questions) != question.size() || fflush(questions) != 0)
    return failure();
  char *line = nullptr;
  size_t room = 0;
  llvm::scope_exit release([&] { free(line); });
  ssize_t length = getline(&line, &room, answers);
  if (length <= 0)
    return failure();
  auto parsed = json::parse(StringRef(line, size_t(length)));
  if (!parsed) {
    consumeError(parsed.takeError());
    return failure();
  }
  const json::Object *root = parsed->getAsObject();
  const json::Array *turns = root ? root->getArray("turns") : nullptr;
  if (!turns || turns->size() != others.size() + 1)
    return failure();
  std::vector<Times> times;
  for (const json::Value &turn : *turns) {
    const json::Object *object = turn.getAsObject();
    const json::Object *kernels = object ? object->getObject("kernels_us") : nullptr;
    Times &each = times.emplace_back();
    if (!kernels || !take(object->getArray("calls_us"), each.calls))
      return failure();
    for (const auto &[name, values] : *kernels)
      if (!take(values.getAsArray(), each.kernels[name]))
        return failure();
  }
  return times;
}

} // namespace peer
