// peer-run generate

#include "Commands.h"
#include "ModelFile.h"
#include "OptionChecks.h"

#include "core/Memory.h"
#include "core/Printable.h"
#include "lm/Generate.h"
#include "lm/Progress.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace peer::runtime {
namespace {

constexpr const char *kHelp =
    R"(Continues a text: reads the prompt at once, then decodes byte by byte with the model's key-value caches. The generated
text goes to stdout as it comes, without the prompt, and ends with a newline. On a terminal control characters and bytes that
are no UTF-8 are shown as \xNN; into files and pipes all bytes go as they are.
--temperature 0 takes the likeliest byte each time; --top-p P draws from the smallest set of likeliest bytes that holds the
probability P. The same seed gives the same text. Weights may be a weights file or a
checkpoint; a training run leaves the newest (weights.safetensors) and those with the least validation loss
(best.safetensors).

Example: peer-run generate tiny_peer_lm.peer --weights run/weights.safetensors --prompt "The licence" --tokens 200)";

struct Arguments {
  std::string model, weights, promptFile;
  GenerateOptions options;
};

/// Far more than any context: what is longer was not meant as a prompt.
constexpr size_t kMostPrompt = size_t{1} << 30;

/// A file's contents as they are, or what comes from standard input until it ends.
Result<std::string> readPrompt(const std::string &path) {
  bool standard = path == "-";
  std::string name = standard ? "standard input" : path, text;
  int descriptor = standard ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return Status::error("cannot open ", name, ": ", std::strerror(errno));
  std::vector<char> piece(1 << 16);
  ssize_t got = 0;
  while ((got = read(descriptor, piece.data(), piece.size())) != 0) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 || text.size() > kMostPrompt)
      break;
    text.append(piece.data(), static_cast<size_t>(got));
  }
  int error = errno;
  if (!standard)
    close(descriptor);
  if (got < 0)
    return Status::error("cannot read the prompt from ", name, ": ", std::strerror(error));
  if (text.size() > kMostPrompt)
    return Status::error("the prompt in ", name, " is longer than ", bytesText(kMostPrompt));
  return text;
}

Result<int> runGenerate(Arguments arguments, const std::string &device) {
  if (!arguments.promptFile.empty()) {
    PEER_TRY_ASSIGN(arguments.options.prompt, readPrompt(arguments.promptFile));
  }
  PEER_TRY_ASSIGN(ModelHandle model, findModel(arguments.model, device));
  PEER_TRY_ASSIGN(auto session, Session::open(model, device));
  PEER_TRY(loadWeights(*session, arguments.weights));

  int failure = 0;
  bool any = false;
  auto emit = [&](std::string_view text) {
    any = true;
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      failure = errno;
    return failure == 0;
  };
  // A model may write anything; a terminal would obey.
  bool terminal = isatty(STDOUT_FILENO);
  PrintableText printable;
  Result<GenerateStats> stats = generateText(
      *session, arguments.options, [&](char byte) { return terminal ? emit(printable.feed(byte)) : emit({&byte, 1}); });
  // A text that was begun is ended, so that an error message starts on a line of its own.
  if (failure == 0 && (any || stats.ok()))
    emit(printable.finish() + "\n");
  if (failure != 0)
    return Status::error("cannot write the text to standard output: ", std::strerror(failure));
  if (!stats.ok())
    return stats.status();
  if (isatty(STDERR_FILENO) && stats->generated > 1)
    std::fprintf(stderr, "prompt: %s tokens in %.3f s; generated: %s tokens, %s tokens/s\n",
                 formatCount(static_cast<double>(stats->promptTokens)).c_str(), stats->prefillSeconds,
                 formatCount(static_cast<double>(stats->generated)).c_str(),
                 formatCount(static_cast<double>(stats->generated - 1) / std::max(stats->decodeSeconds, 1e-9)).c_str());
  return 0;
}

} // namespace

void addGenerateCommand(CLI::App &app, CommandContext &context) {
  CLI::App *command = app.add_subcommand("generate", "Generate text with a language model");
  command->footer(kHelp);
  auto arguments = std::make_shared<Arguments>();
  GenerateOptions &options = arguments->options;
  command
      ->add_option("MODEL", arguments->model,
                   "Description (.mlir) or compiled model (.peer) with a prefill and a decode entry")
      ->required();
  command->add_option("--weights", arguments->weights, "Parameters: a weights file or a checkpoint")
      ->required()
      ->type_name("FILE");
  CLI::Option *prompt =
      command
          ->add_option("--prompt", options.prompt,
                       "Text to continue; of one longer than the model's context, the end. Empty: a line feed")
          ->type_name("TEXT");
  CLI::Option *promptFile = command
                                ->add_option("--prompt-file", arguments->promptFile,
                                             "A file with that text, byte for byte; -: standard input")
                                ->type_name("FILE");
  command->add_option("--tokens", options.tokens, "Bytes to generate")
      ->required()
      ->check(checkInteger(0, int64_t{1} << 40, "a whole number from 0 to 2^40"))
      ->type_name("N");
  command
      ->add_option("--temperature", options.sample.temperature,
                   "Divides the logits: lower is safer, 0 takes the likeliest byte [1]")
      ->check(checkNumber(0.0, 1e6, "a temperature from 0 to 1e6"))
      ->type_name("X");
  command->add_option("--top-p", options.sample.topP, "Share of the probability to draw from [1]")
      ->check(checkNumber(0.0, 1.0, "a probability between 0 and 1"))
      ->type_name("P");
  command->add_option("--seed", options.seed, "Seed of the draws [0]")
      ->check(checkInteger(0, INT64_MAX, "a whole number from 0 to 2^63 - 1"))
      ->type_name("S");
  addCommonOptions(*command, context);
  command->callback([arguments, prompt, promptFile, &context] {
    if ((prompt->count() > 0) == (promptFile->count() > 0))
      throw CLI::ValidationError(prompt->count() > 0
                                     ? "--prompt and --prompt-file exclude each other"
                                     : "give the text to continue: --prompt TEXT or --prompt-file FILE");
    context.action = [arguments, &context] { return runGenerate(*arguments, context.device); };
  });
}

} // namespace peer::runtime
