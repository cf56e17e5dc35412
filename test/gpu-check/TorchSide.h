// The same computation in PyTorch: a child process that answers on request (torch_side.py).
#pragma once

#include "Isolated.h"

#include <cstdio>
#include <map>
#include <sys/types.h>

namespace peer::gpucheck {

class TorchSide {
public:
  TorchSide(const std::string &python, const std::string &script, const Json &spec);
  ~TorchSide();
  TorchSide(const TorchSide &) = delete;
  TorchSide &operator=(const TorchSide &) = delete;

  /// Times `calls` calls of each variant.
  void measure(int calls);
  /// By variant (eager, compile, triton) the median of microseconds and the peak of bytes, or a message where one could not be run.
  Json figures() const;

private:
  Json ask(const Json &request);

  pid_t process = -1;
  FILE *to = nullptr, *from = nullptr;
  std::string failure;
  std::map<std::string, std::vector<double>> us;
  Json answers = Json::object(); // by variant, the last ones
};

} // namespace peer::gpucheck
