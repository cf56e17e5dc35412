// peer-run train

#include "Commands.h"
#include "ModelFile.h"
#include "OptionChecks.h"
#include "ProfileOutput.h"
#include "ProgressOutput.h"
#include "TrainingOptions.h"

#include "core/File.h"
#include "lm/training/Train.h"
#include "lm/training/TrainInterrupt.h"
#include "report/TrainReport.h"

#include <cmath>
#include <filesystem>

namespace peer::runtime {
namespace {

constexpr const char *kTraceFile = "trace.json";

constexpr const char *kHelp =
    R"(Trains a language model on bytes of text and writes to --out: checkpoint-STEP.safetensors (the last two; parameters,
optimizer states and settings), for eval and generate weights.safetensors (the newest parameters) and best.safetensors
(those with the least validation loss), log.jsonl (one JSON object per step and per evaluation), report.html (curves and
pictures of expert usage, in one file) and data.json (the files that were read). One process at a time uses a directory.

Of a directory the text files are read, in the order of their paths; hidden files, archives, binary files, UTF-16, linked
directories and directories of runs are left out, and a line says so. A resumed run reads the files it began with.

Learning rates: --lr GROUP=RATE sets that of one optimizer group ('peer-run inspect' lists them) and may be repeated;
--lr RATE sets those of all groups but 'experts', which --expert-lr RATE sets. Without them the description's values hold.
All follow --schedule, after a linear rise over --warmup steps: 'constant' stays at the peak, 'linear' and 'cosine' fall
to 10 % of it at --steps. --schedule GROUP=KIND sets that of one group; a group whose optimizer has a schedule in the
description follows that one, whatever --schedule KIND says for the others.

--accumulate N makes one update of the gradients of N micro-batches of --batch sequences each: to rounding the step that a
batch N times as large makes, in the memory of one micro-batch. (Batch norms take the statistics of one micro-batch.)

--profile times the kernels of each step: at the end a table says of each name how often a step calls it, its milliseconds of a
step, its share, and what it moves and computes per second by the compiler's counts; matrix products are kernels, too. Lines below it
say which share of the keys a CPU's routes scored in f32, since integers could not leave them out, and how many rows (a token's
scores of one head and half) had no bounds, so that all their keys were scored ('peer-run bench --help' says when that is).
The first step is left out where there are others. trace.json in --out has the first steps, for ui.perfetto.dev or chrome://tracing.

The same seed, batch and number of threads give the same weights, bit for bit, whether a run was interrupted and resumed
or not. Ctrl-C (or SIGTERM, or the end of the terminal) finishes the step, saves, says how to go on and exits with 130
(143, 129); a second Ctrl-C ends at once. SIGUSR1 saves and goes on. A loss that is not a number stops the run with exit
code 1 and leaves the last good state; --resume says what differs from the run so far and refuses another model.

Example: peer-run train examples/tiny_peer_lm.mlir --data books/ --steps 600 --schedule cosine --warmup 50 --out run)";

void printSummary(const TrainSummary &summary) {
  const EvalRecord &validation = summary.validation;
  std::printf("training loss    %.4f nats per byte (smoothed) after %s steps at %s tokens/s\n", summary.trainLoss,
              formatCount(static_cast<double>(summary.step)).c_str(), formatCount(summary.tokensPerSecond).c_str());
  std::printf("validation loss  %.4f nats per byte: perplexity %.3f, %.4f bits per byte\n", validation.loss,
              validation.perplexity(), validation.bitsPerByte());
  std::printf("unigram entropy  %.4f nats per byte of the training text: the validation loss is %.4f %s it\n",
              summary.unigramEntropy, std::abs(summary.unigramEntropy - validation.loss),
              validation.loss <= summary.unigramEntropy ? "below" : "above");
  for (const LayerUsage &layer : validation.layers)
    std::printf("experts          %s: %.2f %% of %s used, unevenness %.3f nats\n", layer.name.c_str(),
                100 * layer.metrics.usage, formatCount(static_cast<double>(layer.experts)).c_str(),
                layer.metrics.unevenness);
  std::printf("weights          %s\n", summary.weights.c_str());
  if (summary.bestStep > 0 && summary.bestStep != summary.step)
    std::printf("best weights     %s: validation loss %.4f after step %s\n", summary.best.c_str(), summary.bestLoss,
                formatCount(static_cast<double>(summary.bestStep)).c_str());
  std::printf("checkpoint       %s\nlog              %s\nreport           %s\n", summary.checkpoint.c_str(),
              summary.log.c_str(), summary.report.c_str());
}

/// The table of a run's kernels, and their trace in its directory.
Status writeProfile(const StepProfile &profile, const TrainOptions &options) {
  if (profile.steps() == 0)
    return {};
  std::string trace = (std::filesystem::path(options.out) / kTraceFile).string();
  PEER_TRY(writeFile(trace, profile.traceJson(concat("peer-run train ", options.model))));
  std::printf("%strace            %s: %s %s, for ui.perfetto.dev or chrome://tracing\n", profileText(profile).c_str(),
              trace.c_str(), formatCount(static_cast<double>(profile.tracedSteps())).c_str(),
              profile.tracedSteps() == 1 ? "step" : "steps");
  return {};
}

Result<int> runTrain(TrainOptions options, bool profiled) {
  if (options.out.empty())
    options.out = std::filesystem::path(options.model).stem().string() + ".run";
  // Only those who ask wait for what is compiled in addition.
  std::vector<std::string> parts;
  if (options.accumulate > 1)
    parts.push_back("--accumulate");
  PEER_TRY_ASSIGN(ModelHandle model, findModel(options.model, options.device, parts));
  options.artifact = model.file();
  Progress progress = makeStderrProgress();
  TrainInterrupt interrupt;
  StepProfile profile;
  TrainControl control{[] { return TrainInterrupt::received() != 0; }, TrainInterrupt::takeSaveRequest,
                       writeTrainReport, profiled ? &profile : nullptr};
  Result<TrainSummary> summary = train(options, progress, control);
  progress.finish();
  if (!summary.ok())
    return summary.status();
  if (!summary->interrupted)
    printSummary(*summary);
  PEER_TRY(writeProfile(profile, options));
  if (!summary->interrupted)
    return 0;
  if (summary->step == 0)
    progress.say("interrupted before the first step; nothing was saved. Go on with:");
  else
    progress.say(concat("interrupted after step ", summary->step, "; saved ", summary->checkpoint, ". Go on with:"));
  progress.say("  " + commandToResume());
  return 128 + TrainInterrupt::received();
}

} // namespace

void addTrainCommand(CLI::App &app, CommandContext &context) {
  CLI::App *command = app.add_subcommand("train", "Train a language model on text");
  command->footer(kHelp);
  auto options = std::make_shared<TrainOptions>();
  auto positiveInteger = checkInteger(1, int64_t{1} << 40, "a whole number from 1 to 2^40");
  command
      ->add_option("MODEL", options->model,
                   "Description (.mlir) or compiled model (.peer) with a train and a loss entry")
      ->required();
  addTrainingOptions(*command, options, "Sequences per step, or per micro-batch with --accumulate [8]");
  command->add_option("--steps", options->steps, "Steps in total, those before a --resume included")
      ->required()
      ->check(positiveInteger)
      ->type_name("N");
  command
      ->add_option("--accumulate", options->accumulate,
                   "Micro-batches per step: sum their gradients, update once; for batches larger than memory [1]")
      ->check(checkInteger(1, 1 << 20, "a whole number from 1 to 1048576"))
      ->type_name("N");
  command
      ->add_option("--seed", options->seed, "Seed of the initial parameters and of the places the text is read at [0]")
      ->check(checkInteger(0, INT64_MAX, "a whole number from 0 to 2^63 - 1"))
      ->type_name("S");
  command
      ->add_option("--eval-every", options->evalEvery,
                   "Steps between validations [a tenth of --steps]; there is always one at the end")
      ->check(positiveInteger)
      ->type_name("N");
  command
      ->add_option("--save-every", options->saveEvery,
                   "Steps between checkpoints [one every ten minutes]; there is always one at the end")
      ->check(positiveInteger)
      ->type_name("N");
  command
      ->add_option("--weights", options->weights,
                   "Begin with these weights, of all parameters or of some; the others begin as the description says")
      ->type_name("FILE");
  command->add_option("--out", options->out, "Directory of the run [MODEL's name with .run]")->type_name("DIR");
  command->add_flag("--resume", options->resume,
                    "Go on from the newest checkpoint in --out; seed, sequences per step and data must be the same");
  auto profile = std::make_shared<bool>(false);
  command->add_flag("--profile", *profile, "Time the kernels of each step: a table at the end, trace.json in --out");
  addCommonOptions(*command, context);
  command->callback([options, profile, &context] {
    context.action = [options, profile, &context] {
      options->device = context.device;
      return runTrain(*options, *profile);
    };
  });
}

} // namespace peer::runtime
