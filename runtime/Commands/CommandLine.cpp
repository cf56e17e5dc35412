// The command line as a whole: parsing, exit codes, the one place where errors are printed.
#include "Commands.h"

#include <cstdio>
#include <new>
#include <omp.h>

namespace peer::runtime {

namespace {
constexpr const char *kAbout =
    R"(Runs compiled models: artifacts (MODEL.peer) that peer-opt made, with parameters in safetensors files.

A first session:
  peer-run inspect MODEL.peer
  peer-run train MODEL.peer --data TEXTS/ --steps 500 --out run
  peer-run generate MODEL.peer --weights run/weights.safetensors --prompt "Once" --tokens 200

Each command explains itself: peer-run COMMAND --help.)";

int fail(const std::string &sentence) {
  std::fprintf(stderr, "peer-run: error: %s\n", sentence.c_str());
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

int runAction(CommandContext &context) {
  if (const std::string &device = context.device;
      !device.empty() && device != "cpu" && device != "cuda" && device != "sim")
    return fail(concat("unknown device '", device, "' (known: cpu, cuda, sim)"));
  if (context.threads > 0)
    omp_set_num_threads(context.threads);
  try {
    Result<int> result = context.action();
    return result.ok() ? *result : fail(result.message());
  } catch (const std::bad_alloc &) {
    return fail("out of memory");
  } catch (const std::exception &error) {
    return fail(concat("unexpected failure: ", error.what()));
  }
}
} // namespace

void addCommonOptions(CLI::App &command, CommandContext &context) {
  command
      .add_option("--threads", context.threads, "Threads to compute with (default: one per core, or OMP_NUM_THREADS)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096).description(""));
  command
      .add_option("--device", context.device,
                  "Where to run: cpu; for models compiled for GPUs cuda, or sim, which executes their kernels on the "
                  "CPU and reports "
                  "what they do wrong [what MODEL was compiled for]")
      ->type_name("NAME");
}

int runCommandLine(int argc, char **argv) {
  CLI::App app(kAbout, "peer-run");
  CommandContext context;
  app.set_version_flag("--version", "peer-run " PEER_VERSION, "Print the version and exit");
  app.require_subcommand(1);
  addTrainCommand(app, context);
  addEvalCommand(app, context);
  addGenerateCommand(app, context);
  addCallCommand(app, context);
  addBenchCommand(app, context);
  addInitCommand(app, context);
  addQuantizeCommand(app, context);
  addInspectCommand(app, context);
  // CLI11 would only say that a command is missing.
  auto named = [&](const CLI::App *command) { return command->check_name(argv[1]); };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty())
    return fail(concat("unknown command '", argv[1], "' (see --help)"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // --help and --version arrive as errors with the exit code 0.
    return error.get_exit_code() == 0 ? app.exit(error) : fail(sentenceOf(error));
  }
  return runAction(context);
}

} // namespace peer::runtime
