// The report of a training run.

#include "TrainReport.h"

#include "Report.h"
#include "core/File.h"
#include "lm/Eval.h"
#include "lm/Progress.h"

#include <filesystem>

namespace peer::runtime {
namespace {

std::string countParameters(const Manifest &manifest) {
  double count = 0;
  for (const Parameter &parameter : manifest.parameters) {
    double elements = 1;
    for (int64_t size : parameter.shape)
      elements *= static_cast<double>(size);
    count += elements;
  }
  return formatCount(count);
}

/// All sequences of a step.
std::string batchText(const TrainSettings &settings) {
  std::string text = concat(settings.batch * settings.accumulate, " sequences of ", settings.context, " bytes");
  return settings.accumulate == 1 ? text
                                  : concat(text, ", as ", settings.accumulate, " micro-batches of ", settings.batch);
}

std::vector<ReportRow> settingsRows(const TrainSettings &settings, const Session &session) {
  const Manifest &manifest = session.manifest();
  std::vector<ReportRow> rows{
      {"model", settings.model},
      {"description", manifest.model},
      {"compiler", manifest.compiler},
      {"target", manifest.device + (manifest.cpu.empty() ? "" : ", " + manifest.cpu)},
      {"parameters", countParameters(manifest)},
      {"data", settings.data},
      {"validation data", settings.evalData.empty() ? "the last 5 % of the data" : settings.evalData},
      {"steps", formatCount(static_cast<double>(settings.steps))},
      {"batch", batchText(settings)},
      {"seed", std::to_string(settings.seed)},
      {"schedule", concat(toString(settings.schedule.kind), ", ", settings.schedule.warmup, " steps of warm-up")}};
  for (const auto &[group, kind] : settings.groupSchedules)
    rows.push_back({"schedule, " + group, std::string(toString(kind))});
  for (const auto &[group, rate] : settings.learningRates) {
    const Group *info = manifest.findGroup(group);
    rows.push_back(
        {"peak learning rate, " + group,
         concat(rate, info ? " (" + info->optimizer + (info->lazy ? ", touched rows only" : "") + ")" : "")});
  }
  return rows;
}

} // namespace

Status writeTrainReport(const TrainSummary &summary, const TrainSettings &settings, const Session &session,
                        const Entry &usageEntry) {
  Report report;
  report.title = "Training run: " + std::filesystem::path(settings.model).filename().string();
  PEER_TRY_ASSIGN(report.history, readLog(summary.log));
  report.unigramEntropy = summary.unigramEntropy;

  const EvalRecord &validation = summary.validation;
  report.headline = {{"validation loss (nats per byte)", fixed(validation.loss, 4)},
                     {"perplexity", fixed(validation.perplexity(), 3)},
                     {"bits per byte", fixed(validation.bitsPerByte(), 3)},
                     {"unigram entropy (nats per byte)", fixed(summary.unigramEntropy, 3)},
                     {"tokens per second", formatCount(summary.tokensPerSecond)}};
  double tokens = static_cast<double>(summary.step) * static_cast<double>(settings.tokensPerStep());
  report.metrics = {{"steps done", concat(formatCount(static_cast<double>(summary.step)), " of ",
                                          formatCount(static_cast<double>(settings.steps)))},
                    {"tokens trained on", formatCount(tokens)},
                    {"training loss, smoothed", fixed(summary.trainLoss, 4) + " nats per byte"},
                    {"validation loss", fixed(validation.loss, 4) + " nats per byte"},
                    {"validation perplexity", fixed(validation.perplexity(), 4)},
                    {"validation bits per byte", fixed(validation.bitsPerByte(), 4)},
                    {"validation tokens", formatCount(static_cast<double>(validation.tokens))},
                    {"unigram entropy of the training text", fixed(summary.unigramEntropy, 4) + " nats per byte"},
                    {"weights", summary.weights},
                    {"weights of the least validation loss",
                     concat(summary.best, " (step ", formatCount(static_cast<double>(summary.bestStep)), ")")}};
  report.settings = settingsRows(settings, session);

  for (const Argument &argument : usageEntry.arguments)
    if (std::vector<double> mass = readGateMass(session, argument); !mass.empty())
      report.usage.push_back({argument.name, std::move(mass), argument.grid});
  return writeFile(summary.report, renderReport(report));
}

} // namespace peer::runtime
