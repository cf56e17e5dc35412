// peer-run compare

#include "Commands.h"
#include "ModelFile.h"
#include "OptionChecks.h"
#include "ProgressOutput.h"
#include "Table.h"
#include "TrainingOptions.h"

#include "core/File.h"
#include "core/Printable.h"
#include "lm/compare/Compare.h"
#include "lm/training/TrainInterrupt.h"
#include "report/CompareReport.h"

#include <filesystem>

namespace peer::runtime {
namespace {

constexpr const char *kHelp =
    R"(Trains each model with the same batches and --seeds seeds, and says what came of it: parameters, all and those that a
token uses, operations and bytes per token by the compiler's counts, tokens per second, the validation loss with its spread
over seeds, how expert pools are used, and the learning rates that were used.

--steps N stops each run after N steps, --seconds S after S seconds within steps; with both, each model is trained for
each. Learning rates fall to the end of a run's own budget (--schedule cosine is the default here) from the peaks that its
description says, or --lr and --expert-lr; --lr GROUP=RATE is for those models that have the group.

All models of a seed are in memory and train by turns of two seconds, so that what else the machine does meets all of
them alike; --one-by-one keeps one in memory.

--disable-top-experts N measures each run once more at its end, without each token's N best experts: the column "top off". It
takes descriptions (see 'peer-run eval --help'); a model that cannot do without them has none, and a line says why.

--out gets compare.md (what is printed), compare.html (that and the curves, in one file), compare.json (all numbers of all
runs) and, below runs/, for each run its newest weights and its log. Ctrl-C saves and says how to go on. Finished runs are kept
whatever happens; a process that was killed loses of the others what came after their last checkpoints, written every
ten minutes. With --resume more --seeds may be given than before. A model whose loss is not finite is one that diverged,
and the others go on.

Example: peer-run compare tiny_dense_lm.mlir switch_moe_lm.mlir --data books/ --steps 600 --seeds 3 --out compared)";

void print(const Comparison &comparison) {
  std::string out;
  for (const CompareTable &found : compareTables(comparison)) {
    Table table(found.rows.front());
    for (size_t r = 1; r < found.rows.size(); ++r)
      table.add(found.rows[r]);
    out += found.title + "\n" + table.text("  ") + "\n";
  }
  for (const std::string &note : compareNotes(comparison))
    out += note + "\n";
  PrintableText printable;
  std::string shown;
  for (char c : out)
    shown += printable.feed(c);
  shown += printable.finish();
  std::fwrite(shown.data(), 1, shown.size(), stdout);
}

Status write(const Comparison &comparison, const std::string &out) {
  std::filesystem::path directory(out);
  PEER_TRY(writeFile((directory / kCompareJson).string(), comparison.toJson()));
  PEER_TRY(writeFile((directory / kCompareText).string(), compareMarkdown(comparison)));
  return writeFile((directory / kCompareHtml).string(), compareHtml(comparison));
}

Result<int> runCompare(CompareOptions options, const std::vector<std::string> &models) {
  if (!options.steps && !options.seconds)
    return Status::error("how long to train is not said: expected --steps, --seconds or both");
  std::vector<ModelHandle> handles;
  for (const std::string &model : models) {
    PEER_TRY_ASSIGN(ModelHandle handle, findModel(model, options.common.device));
    options.models.push_back({model, handle.file(), {}, {}});
    handles.push_back(std::move(handle));
  }
  for (ComparedModel &model : options.models)
    if (options.disabledExperts > 0) {
      Result<ModelHandle> handle =
          findModelWithout(options.disabledExperts, model.model, options.common.device, &model.notDisabled);
      // The description itself is good: what the compiler refuses is to disable experts. Then the error has no message.
      if (!handle.ok() && (model.notDisabled.empty() || !handle.message().empty()))
        return handle.status();
      if (!handle.ok())
        continue;
      model.notDisabled.clear();
      model.disabledArtifact = handle->file();
      handles.push_back(std::move(*handle));
    }
  Progress progress = makeStderrProgress();
  TrainInterrupt interrupt;
  CompareControl control{[] { return TrainInterrupt::received() != 0; },
                         [&](const Comparison &comparison) { return write(comparison, options.out); }};
  Result<Comparison> comparison = compareModels(options, progress, control);
  progress.finish();
  if (!comparison.ok())
    return comparison.status();
  if (comparison->runsFinished == comparison->runsTotal) {
    print(*comparison);
    std::printf("\n%s, %s, %s in %s\n", kCompareText, kCompareHtml, kCompareJson, printableLine(options.out).c_str());
    return 0;
  }
  progress.say(concat("interrupted with ", comparison->runsFinished, " of ", comparison->runsTotal,
                      " runs finished. Go on with:"));
  progress.say("  " + commandToResume());
  return 128 + TrainInterrupt::received();
}

} // namespace

void addCompareCommand(CLI::App &app, CommandContext &context) {
  CLI::App *command = app.add_subcommand("compare", "Train several models alike and compare what they learn");
  command->footer(kHelp);
  auto options = std::make_shared<CompareOptions>();
  auto common = std::make_shared<TrainOptions>();
  auto models = std::make_shared<std::vector<std::string>>();
  common->schedule = ScheduleKind::Cosine;
  command
      ->add_option("MODEL", *models,
                   "Descriptions (.mlir) or compiled models (.peer), two or more, of one vocabulary "
                   "and context")
      ->required();
  addTrainingOptions(*command, common, "Sequences per step [8]");
  command->add_option("--steps", options->steps, "Steps of each run")
      ->check(checkInteger(1, int64_t{1} << 40, "a whole number from 1 to 2^40"))
      ->type_name("N");
  command->add_option("--seconds", options->seconds, "Seconds of training of each run")
      ->check(checkNumber(0.01, 1e9, "a number of seconds from 0.01 to 1e9"))
      ->type_name("S");
  command->add_option("--seeds", options->seeds, "Runs of each model, with as many seeds [3]")
      ->check(checkInteger(1, 1000, "a whole number from 1 to 1000"))
      ->type_name("K");
  command->add_option("--seed", common->seed, "The first seed [0]")
      ->check(checkInteger(0, int64_t{1} << 60, "a whole number from 0 to 2^60"))
      ->type_name("S");
  command
      ->add_option("--disable-top-experts", options->disabledExperts,
                   "A column with the loss without each token's N best experts [0: none]")
      ->check(checkInteger(0, 1 << 20, "a whole number from 0 to 1048576"))
      ->type_name("N");
  command->add_flag("--one-by-one", options->oneByOne, "One run after the other, with one model in memory");
  command->add_option("--out", options->out, "Directory of the comparison")->required()->type_name("DIR");
  command->add_flag("--resume", options->resume, "Go on with the comparison in --out");
  addCommonOptions(*command, context);
  command->callback([options, common, models, &context] {
    context.action = [options, common, models, &context] {
      options->common = *common;
      options->common.device = context.device;
      return runCompare(*options, *models);
    };
  });
}

} // namespace peer::runtime
