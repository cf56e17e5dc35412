// peer-run in this process, and what it may print.
#include "Harness.h"

#include "commands/Commands.h"

namespace peer::fuzz {

void runCommand(std::vector<std::string> arguments) {
  std::vector<char *> argv;
  for (std::string &argument : arguments)
    argv.push_back(argument.data());
  argv.push_back(nullptr);
  Capture capture;
  int code = runtime::runCommandLine(static_cast<int>(arguments.size()), argv.data());
  std::string printed = capture.end();
  constexpr std::string_view kError = "peer-run: error: ";
  size_t first = printed.starts_with(kError) ? 0 : printed.find("\n" + std::string(kError));
  if (code == 0 && first != std::string::npos)
    finding("an error was printed, and the exit code is 0", printed);
  if (code == 0)
    return;
  if (code != 1)
    finding("the exit code is " + std::to_string(code), printed);
  if (first == std::string::npos)
    finding("exit code 1 without a sentence", printed);
  // One line, the last one.
  if (printed.find('\n', first + 1) != printed.size() - 1)
    finding("something was printed after the error, or it has several lines", printed);
  // Names that are quoted in a sentence may be anything.
  if (printed.find(std::string(kError) + "unexpected failure") != std::string::npos)
    finding("an exception reached the command line", printed);
}

} // namespace peer::fuzz
