// peer-run eval

#include "Commands.h"
#include "ModelFile.h"
#include "OptionChecks.h"
#include "ProgressOutput.h"

#include "lm/Eval.h"

#include <chrono>
#include <cmath>
#include <unistd.h>

namespace peer::runtime {
namespace {

constexpr const char *kHelp =
    R"(Measures a model on text: mean loss in nats per byte, perplexity and bits per byte over all contexts that do not overlap
(the bytes after the last whole context are left out), and for each layer with experts
  usage       the share of experts that got any gate mass, and
  unevenness  ln N + sum z ln z, z being the normalised gate mass of N experts: 0 when all get the same, ln N when one gets all.
Weights may be a weights file or a checkpoint; a training run leaves the newest (weights.safetensors) and those with
the least validation loss (best.safetensors).

--disable-top-experts N is a test of robustness (CartesianMoE, arXiv 2410.16077): each head of each token goes without the N
experts that it would like best, at each selection, and those behind take their place. A softmax gate weighs the others among
themselves, 'probability' weighs them as before; top_p counts the mass of the others. MODEL must be a description, since it
is compiled for that; one that selects no experts by scores is refused, as are hash layers and expert choice.

Example: peer-run eval tiny_peer_lm.peer --weights run/weights.safetensors --data book.txt)";

struct Arguments {
  std::string model, weights, data;
  int64_t batch = 8, disabled = 0;
  bool json = false;
};

void print(const EvalRecord &record, TextView text) {
  std::printf("loss             %.4f nats per byte over %s tokens\nperplexity       %.4f\nbits per byte    "
              "%.4f\nunigram entropy  %.4f nats per byte of this text\n",
              record.loss, formatCount(static_cast<double>(record.tokens)).c_str(), record.perplexity(),
              record.bitsPerByte(), unigramEntropy(text));
  for (const LayerUsage &layer : record.layers)
    std::printf("experts          %s: %.2f %% of %s used, unevenness %.4f nats\n", layer.name.c_str(),
                100 * layer.metrics.usage, formatCount(static_cast<double>(layer.experts)).c_str(),
                layer.metrics.unevenness);
}

Result<int> runEval(const Arguments &arguments, const std::string &device) {
  PEER_TRY_ASSIGN(ModelHandle handle, arguments.disabled > 0
                                          ? findModelWithout(arguments.disabled, arguments.model, device)
                                          : findModel(arguments.model, device));
  PEER_TRY_ASSIGN(auto session, Session::open(handle, device));
  PEER_TRY_ASSIGN(LanguageEntry model, findLanguageEntry(session->manifest(), EntryKind::Loss, arguments.model));
  PEER_TRY_ASSIGN(TextSource source, readText(arguments.data));
  const Text &text = source.bytes;
  PEER_TRY(checkTextLength(text, model.context, arguments.data));
  PEER_TRY(checkTextRange(source, byteRange(model), arguments.model));
  PEER_TRY(loadWeights(*session, arguments.weights));

  EvalOptions options;
  options.batch = arguments.batch;
  bool live = isatty(STDERR_FILENO);
  if (live || !source.leftOut.empty())
    std::fprintf(stderr, "reading %s: %s\n", arguments.data.c_str(), source.summary().c_str());
  auto start = std::chrono::steady_clock::now();
  options.onProgress = [&](int64_t done, int64_t total) {
    if (live && done > 0) {
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::fprintf(stderr, "\r%.0f %% of %s contexts  %s left\x1b[K", 100.0 * done / total,
                   formatCount(static_cast<double>(total)).c_str(),
                   formatDuration(seconds / done * (total - done)).c_str());
    }
    return true;
  };
  Result<EvalRecord> record = evaluateText(*session, model, text, options);
  if (live)
    std::fputs("\r\x1b[K", stderr);
  if (!record.ok())
    return record.status();
  if (!std::isfinite(record->loss))
    return Status::error("the loss of ", arguments.model, " with ", arguments.weights, " on ", arguments.data, " is ",
                         record->loss, ": the weights are damaged or diverged");
  if (arguments.json)
    std::printf("%s\n", evalJson(*record, arguments.disabled).c_str());
  else
    print(*record, text);
  if (arguments.disabled > 0 && !arguments.json)
    std::printf("disabled         the best %s of each head of a token\n",
                arguments.disabled == 1 ? "expert" : concat(arguments.disabled, " experts").c_str());
  return 0;
}

} // namespace

void addEvalCommand(CLI::App &app, CommandContext &context) {
  CLI::App *command = app.add_subcommand("eval", "Measure a language model on text");
  command->footer(kHelp);
  auto arguments = std::make_shared<Arguments>();
  command->add_option("MODEL", arguments->model, "Description (.mlir) or compiled model (.peer) with a loss entry")
      ->required();
  command->add_option("--weights", arguments->weights, "Parameters: a weights file or a checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--data", arguments->data, "Text to measure on: a file or a directory")
      ->required()
      ->type_name("PATH");
  command->add_option("--batch", arguments->batch, "Sequences per call [8]")
      ->check(checkInteger(1, 1 << 20, "a whole number from 1 to 1048576"))
      ->type_name("B");
  command->add_option("--disable-top-experts", arguments->disabled, "Go without each token's N best experts [0]")
      ->check(checkInteger(0, 1 << 20, "a whole number from 0 to 1048576"))
      ->type_name("N");
  command->add_flag("--json", arguments->json, "Print one JSON object");
  addCommonOptions(*command, context);
  command->callback([arguments, &context] {
    context.action = [arguments, &context] { return runEval(*arguments, context.device); };
  });
}

} // namespace peer::runtime
