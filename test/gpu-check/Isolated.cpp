#include "Isolated.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace peer::gpucheck {

namespace {
/// What a child process writes: one line per job.
struct Child {
  pid_t process = -1;
  int pipe = -1;
  std::string buffer;

  /// The next line; empty at the end of the child's output or after `seconds`, then with `timedOut`.
  std::string line(int seconds, bool &timedOut) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    for (size_t end = 0; (end = buffer.find('\n')) == std::string::npos;) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      pollfd waited{pipe, POLLIN, 0};
      timedOut = left.count() <= 0 || poll(&waited, 1, static_cast<int>(left.count())) == 0;
      char bytes[4096];
      ssize_t count = timedOut ? 0 : read(pipe, bytes, sizeof bytes);
      if (count <= 0)
        return "";
      buffer.append(bytes, static_cast<size_t>(count));
    }
    std::string line = buffer.substr(0, buffer.find('\n'));
    buffer.erase(0, line.size() + 1);
    return line;
  }

  /// How it ended, in words.
  std::string end(bool kill) {
    if (kill)
      ::kill(process, SIGKILL);
    close(pipe);
    int status = 0;
    waitpid(process, &status, 0);
    if (WIFSIGNALED(status))
      return std::string("the process ended by signal ") + std::to_string(WTERMSIG(status)) + " (" +
             strsignal(WTERMSIG(status)) + ")";
    return "the process ended with exit code " + std::to_string(WEXITSTATUS(status));
  }
};

Child start(size_t first, size_t count, const std::function<Json(size_t)> &job) {
  int ends[2];
  if (pipe(ends) != 0)
    return {};
  pid_t process = fork();
  if (process == 0) {
    close(ends[0]);
    bool fatal = false;
    for (size_t i = first; i < count && !fatal; ++i) {
      Json result = job(i);
      fatal = result.contains("fatal");
      result.erase("fatal");
      std::string text = result.dump() + "\n";
      for (size_t done = 0; done < text.size();) {
        ssize_t written = write(ends[1], text.data() + done, text.size() - done);
        if (written <= 0)
          _exit(1);
        done += static_cast<size_t>(written);
      }
    }
    // The driver takes back what a process held; waiting for a broken GPU in destructors could take for ever.
    _exit(0);
  }
  close(ends[1]);
  return {process, ends[0], ""};
}
} // namespace

void runIsolated(size_t count, int seconds, const std::function<Json(size_t)> &job,
                 const std::function<void(size_t, const Json &)> &report) {
  for (size_t next = 0; next < count;) {
    Child child = start(next, count, job);
    if (child.process < 0) {
      report(next++, {{"status", "fail"}, {"message", "no process can be started"}});
      continue;
    }
    bool timedOut = false;
    size_t first = next;
    for (std::string line; next < count && !(line = child.line(seconds, timedOut)).empty(); ++next)
      report(next, Json::parse(line));
    std::string ended = child.end(timedOut);
    // A child that reported and stopped asks for a new one.
    if (next < count && (timedOut || next == first || ended.find("code 0") == std::string::npos)) {
      report(next++, {{"status", "fail"},
                      {"message", timedOut ? "it took longer than " + std::to_string(seconds) + " seconds" : ended}});
    }
  }
}

} // namespace peer::gpucheck
