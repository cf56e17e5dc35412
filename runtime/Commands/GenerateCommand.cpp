// peer-run generate

#include "Commands.h"

#include "../Checkpoint.h"
#include "../Generate.h"
#include "../Progress.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <unistd.h>

namespace peer::runtime {
namespace {

constexpr const char *kHelp =
    R"(Continues a text: reads the prompt at once, then decodes byte by byte with the model's key-value caches. The generated
text goes to stdout as it comes, without the prompt, and ends with a newline.
--temperature 0 takes the likeliest byte each time; --top-p P draws from the smallest set of likeliest bytes that holds the
probability P. The same seed gives the same text. Weights may be a weights file or a checkpoint.

Example: peer-run generate tiny_peer_lm.peer --weights run/weights.safetensors --prompt "The licence" --tokens 200)";

struct Arguments {
  std::string model, weights;
  GenerateOptions options;
};

Result<int> runGenerate(const Arguments &arguments) {
  PEER_TRY_ASSIGN(auto session, Session::open(arguments.model));
  PEER_TRY_ASSIGN(auto weights, SafetensorsFile::open(arguments.weights));
  PEER_TRY(session->loadParameters(weights, kStatePrefix));

  int failure = 0;
  bool any = false;
  auto emit = [&](const char *text) {
    any = true;
    if (std::fwrite(text, 1, 1, stdout) != 1 || std::fflush(stdout) != 0)
      failure = errno;
    return failure == 0;
  };
  Result<GenerateStats> stats = generateText(*session, arguments.options, [&](char byte) { return emit(&byte); });
  // A text that was begun is ended, so that an error message starts on a line of its own.
  if (failure == 0 && (any || stats.ok()))
    emit("\n");
  if (failure != 0)
    return Status::error("cannot write the text to standard output: ", std::strerror(failure));
  if (!stats.ok())
    return stats.status();
  if (isatty(STDERR_FILENO) && stats->generated > 1)
    std::fprintf(stderr, "prompt: %s tokens in %.3f s; generated: %s tokens, %s tokens/s\n", formatCount(static_cast<double>(stats->promptTokens)).c_str(), stats->prefillSeconds,
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
  command->add_option("MODEL", arguments->model, "compiled model (.peer) with a prefill and a decode entry")->required();
  command->add_option("--weights", arguments->weights, "parameters: a weights file or a checkpoint")->required()->type_name("FILE");
  command->add_option("--prompt", options.prompt, "text to continue; of one longer than the model's context, the end")->required()->type_name("TEXT");
  command->add_option("--tokens", options.tokens, "bytes to generate")->required()->check(CLI::Range(int64_t{0}, int64_t{1} << 31, "a number of tokens"))->type_name("N");
  auto finite = [](double low, double high, const char *what) {
    return [=](const std::string &text) -> std::string {
      char *end = nullptr;
      double value = std::strtod(text.c_str(), &end);
      return *end == 0 && value >= low && value <= high ? "" : concat("expected ", what, ", got ", text);
    };
  };
  command->add_option("--temperature", options.sample.temperature, "divides the logits: lower is safer, 0 takes the likeliest byte [1]")
      ->check(finite(0.0, 1e6, "a temperature of 0 or more"))
      ->type_name("X");
  command->add_option("--top-p", options.sample.topP, "share of the probability to draw from [1]")->check(finite(0.0, 1.0, "a probability between 0 and 1"))->type_name("P");
  command->add_option("--seed", options.seed, "seed of the draws [0]")->type_name("S");
  addCommonOptions(*command, context);
  command->callback([arguments, &context] { context.action = [arguments] { return runGenerate(*arguments); }; });
}

} // namespace peer::runtime
