// What is written must be nothing that is read.

#include "Outputs.h"

#include <sys/stat.h>

namespace peer::runtime {

bool isSameFile(const std::string &a, const std::string &b) {
  struct stat first{}, second{};
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

Status checkOutput(std::string_view option, const std::string &output, const std::vector<std::string> &inputs) {
  for (const std::string &input : inputs)
    if (!input.empty() && isSameFile(output, input))
      return Status::error(option, " ", output, " names a file that is read",
                           output == input ? "" : concat(" (", input, ")"), ": expected another one");
  return {};
}

} // namespace peer::runtime
