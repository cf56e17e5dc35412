// The command line as a whole: parsing, exit codes, the one place where errors are printed.
#include "Arguments.h"
#include "Commands.h"
#include "OptionChecks.h"
#include "ProgressOutput.h"
#include "core/Pinning.h"
#include "core/Printable.h"
#include "core/Threads.h"
#include "device/Devices.h"
#include "lm/Checkpoint.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <unistd.h>

namespace peer::runtime {

namespace {
constexpr const char *kAbout =
    R"(Trains and runs models. MODEL is a description (.mlir), which is compiled first (and kept in ~/.cache/peer), or an
artifact (.peer) that peer-opt made; parameters are safetensors files.

A first session:
  peer-run inspect MODEL.mlir
  peer-run train MODEL.mlir --data TEXTS/ --steps 500 --out run
  peer-run generate MODEL.mlir --weights run/weights.safetensors --prompt "Once" --tokens 200

Each command explains itself: peer-run COMMAND --help.)";

int fail(const std::string &sentence) {
  // Names of files and tensors come from anywhere: one line, and nothing that controls the terminal.
  writeToStderr(concat("peer-run: error: ", printableLine(sentence), "\n"));
  return 1;
}

/// CLI11's messages as the rest of ours are: one line, no full stop.
std::string sentenceOf(const CLI::ParseError &error) {
  std::string text = error.what();
  for (char &c : text)
    if (c == '\n')
      c = ' ';
  while (!text.empty() && (text.back() == ' ' || text.back() == '.'))
    text.pop_back();
  return text + " (see --help)";
}

/// What was printed may wait in a buffer for a disk that is full. Whoever closed standard output, or a pipe, wants nothing from it.
int finish(int code) {
  errno = 0;
  bool lost = (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && errno != EBADF && errno != EPIPE;
  return lost ? fail(concat("cannot write to standard output", errno ? ": " : "", errno ? std::strerror(errno) : ""))
              : code;
}

int runAction(CommandContext &context) {
  if (!context.device.empty())
    if (Result<const DeviceKind *> kind = findDevice(context.device); !kind.ok())
      return fail(kind.message());
  if (context.threads > 0)
    setThreads(context.threads);
  if (!context.noPin)
    ownThreads();
  try {
    Result<int> result = context.action();
    if (!result.ok() && result.message().empty())
      return 1; // reported by who found it
    return result.ok() ? finish(*result) : fail(result.message());
  } catch (const std::bad_alloc &) {
    return fail("out of memory");
  } catch (const std::exception &error) {
    return fail(concat("unexpected failure: ", error.what()));
  }
}
} // namespace

Status loadWeights(Session &session, const std::string &path) {
  PEER_TRY_ASSIGN(SafetensorsFile weights, SafetensorsFile::open(path));
  std::string note;
  PEER_TRY(session.loadParameters(weights, kStatePrefix, &note));
  if (!note.empty())
    std::fprintf(stderr, "peer-run: note: %s\n", printableLine(note).c_str());
  return {};
}

void addCommonOptions(CLI::App &command, CommandContext &context) {
  command
      .add_option("--threads", context.threads,
                  "Threads to compute with (default: OMP_NUM_THREADS, or one per core, at most what a container's "
                  "quota lets run)")
      ->type_name("N")
      ->check(checkInteger(1, kMostThreads, "a whole number from 1 to 4096"));
  command.add_flag("--no-pin", context.noPin,
                   "Leave threads wherever the system puts them (default: one on each core, where they are as many; "
                   "variables as OMP_PROC_BIND say otherwise)");
  std::string devices;
  for (const DeviceKind &kind : deviceKinds())
    devices += concat(devices.empty() ? "" : "; ", kind.name, ", ", kind.help);
  command.add_option("--device", context.device, concat("Where to run: ", devices, " [what MODEL was compiled for]"))
      ->type_name("NAME");
}

namespace {
std::atomic<bool> memoryMissing{false};

/// As without a handler, but remembered.
void noteMissingMemory() {
  memoryMissing = true;
  throw std::bad_alloc();
}

/// Where a destructor, a thread or a library that promises not to throw needs memory that is not there, no exception arrives
/// anywhere: the same sentence, and an end that needs no memory itself.
[[noreturn]] void lastWords() {
  if (!memoryMissing)
    std::abort();
  constexpr std::string_view kSentence = "peer-run: error: out of memory\n";
  ssize_t ignored = write(STDERR_FILENO, kSentence.data(), kSentence.size());
  (void)ignored;
  _exit(1);
}

int parseAndRun(int argc, char **argv) {
  CLI::App app(kAbout, "peer-run");
  CommandContext context;
  app.set_version_flag("--version", "peer-run " PEER_VERSION, "Print the version and exit");
  app.require_subcommand(1);
  addTrainCommand(app, context);
  addCompareCommand(app, context);
  addEvalCommand(app, context);
  addGenerateCommand(app, context);
  addCallCommand(app, context);
  addBenchCommand(app, context);
  addInitCommand(app, context);
  addQuantizeCommand(app, context);
  addConvertCommand(app, context);
  addInspectCommand(app, context);
  // CLI11 would only say that a command is missing.
  auto named = [&](const CLI::App *command) { return command->check_name(argv[1]); };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty())
    return fail(concat("unknown command '", argv[1], "' (see --help)"));
  Result<std::vector<std::string>> arguments = tieValues(app, {argv + std::min(argc, 1), argv + argc});
  if (!arguments.ok())
    return fail(arguments.message() + " (see --help)");
  std::reverse(arguments->begin(), arguments->end()); // CLI11 takes them from the back
  try {
    app.parse(std::move(*arguments));
  } catch (const CLI::ParseError &error) {
    // --help and --version arrive as errors with the exit code 0.
    return error.get_exit_code() == 0 ? finish(app.exit(error)) : fail(sentenceOf(error));
  }
  return runAction(context);
}
} // namespace

int runCommandLine(int argc, char **argv) {
  std::set_new_handler(noteMissingMemory);
  std::set_terminate(lastWords);
  // A limit to the size of files is one more reason that a file cannot be written.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return parseAndRun(argc, argv);
  } catch (const std::bad_alloc &) {
    return fail("out of memory");
  }
}

} // namespace peer::runtime
