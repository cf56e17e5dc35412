#include "TorchSide.h"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace peer::gpucheck {

TorchSide::TorchSide(const std::string &python, const std::string &script, const Json &spec) {
  signal(SIGPIPE, SIG_IGN);
  int requests[2], replies[2];
  if (pipe(requests) != 0 || pipe(replies) != 0) {
    failure = "no pipe can be made";
    return;
  }
  process = fork();
  if (process == 0) {
    dup2(requests[0], STDIN_FILENO);
    dup2(replies[1], STDOUT_FILENO);
    for (int end : {requests[0], requests[1], replies[0], replies[1]})
      close(end);
    // Libraries of this folder are none of Python's business.
    unsetenv("LD_LIBRARY_PATH");
    execlp(python.c_str(), python.c_str(), script.c_str(), nullptr);
    _exit(127);
  }
  close(requests[0]);
  close(replies[1]);
  to = fdopen(requests[1], "w");
  from = fdopen(replies[0], "r");
  for (const Json &variant : ask({{"prepare", spec}}).value("variants", Json::array()))
    us[variant.get<std::string>()];
}

TorchSide::~TorchSide() {
  if (to)
    fclose(to);
  if (from)
    fclose(from);
  if (process > 0)
    waitpid(process, nullptr, 0);
}

Json TorchSide::ask(const Json &request) {
  if (!failure.empty())
    return Json::object();
  std::string line;
  if (std::fprintf(to, "%s\n", request.dump().c_str()) > 0 && std::fflush(to) == 0)
    for (int byte = 0; (byte = std::fgetc(from)) != EOF && byte != '\n';)
      line += static_cast<char>(byte);
  Json answer = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) {
    failure = "PyTorch's process ended";
    return Json::object();
  }
  if (answer.contains("error"))
    failure = answer["error"];
  return answer;
}

void TorchSide::measure(int calls) {
  for (auto &[variant, times] : us) {
    Json answer = ask({{"measure", variant}, {"calls", calls}});
    if (answer.contains("us"))
      times.push_back(answer["us"]);
    answers[variant] = answer;
  }
}

Json TorchSide::figures() const {
  Json result = Json::object();
  if (!failure.empty())
    result["message"] = failure;
  for (const auto &[variant, all] : us) {
    std::vector<double> times = all;
    Json &figure = result[variant] = Json::object();
    if (!times.empty()) {
      std::ranges::sort(times);
      figure["us"] = times[times.size() / 2];
    }
    if (answers.contains(variant))
      for (const char *key : {"peak_bytes", "message"})
        if (answers[variant].contains(key))
          figure[key] = answers[variant][key];
  }
  return result;
}

} // namespace peer::gpucheck
