#include "ConvertRun.h"

#include "Commands.h"
#include "convert/Bench.h"
#include "convert/Blocks.h"
#include "convert/Widths.h"

#include "convert/Moefy.h"
#include "convert/Prune.h"
#include "core/File.h"
#include "lm/Eval.h"
#include "lm/training/RunFiles.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

namespace peer::runtime {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

class ConvertRun {
public:
  ConvertRun(const ConvertOptions &options, const ModelFile &description, const std::string &device,
             const Conversion *known, NewDirectory out)
      : bench(options, description, device, known, std::move(out)), options(options), known(known) {}
  Result<ConvertReport> run();

private:
  /// What is chosen, and what that is compared with.
  enum class Choice { Chosen, Dropped, ByChance };
  /// What the weights half of a plan finds.
  using Decide = std::function<Result<Decisions>(const std::string &plan, Choice which)>;
  bool isMerge() const { return bench.setting("how") == "merge"; }
  Result<TensorMap> readLayers(const TensorMap &parameters);
  Decide groups(const TensorMap &before, const TensorMap &inputs);
  Decide keptExperts(Session &before);
  Status measureCurve(const TensorMap &before, const std::string &option, int64_t most, const Decide &decide);
  Status writeReport(const std::string &plan);

  ConvertBench bench;
  const ConvertOptions &options;
  const Conversion *known;
  ConvertReport report;
};

/// What dense layers read of the text: `LAYER.x`, tokens x width.
Result<TensorMap> ConvertRun::readLayers(const TensorMap &parameters) {
  TensorMap result;
  auto see = [&](const TensorMap &seen, int64_t context, int64_t total) -> Status {
    for (const auto &[name, tensor] : seen) {
      Shape shape = tensor.shape();
      shape[0] *= total;
      if (!result.contains(name)) {
        PEER_TRY_ASSIGN(Tensor all, Tensor::zeros(tensor.dtype(), shape, name));
        result.emplace(name, std::move(all));
      }
      std::memcpy(static_cast<char *>(result.at(name).data()) + static_cast<size_t>(context) * tensor.bytes(),
                  tensor.data(), tensor.bytes());
    }
    return {};
  };
  PEER_TRY(bench.calibrate("peer-inline-modules,peer-calibrate{of=dense}", parameters, see));
  return result;
}

ConvertRun::Decide ConvertRun::groups(const TensorMap &before, const TensorMap &inputs) {
  return [this, &before, &inputs](const std::string &plan, Choice which) -> Result<Decisions> {
    using Grouping = MoefyChoice::Grouping;
    using Router = MoefyChoice::Router;
    MoefyChoice choice;
    choice.grouping = std::array{Grouping::Coactivation, Grouping::Weights,
                                 Grouping::Random}[which == Choice::ByChance ? 2 : bench.choiceOf("grouping")];
    choice.router = std::array{Router::Linear, Router::Similarity, Router::Random}[bench.choiceOf("router")];
    PEER_TRY_ASSIGN(std::vector<DenseRows> layers, readDenseRows(plan, "the plan", before));
    Decisions all;
    for (const DenseRows &layer : layers) {
      auto seen = inputs.find(layer.name.empty() ? "x" : layer.name + ".x");
      if (seen == inputs.end())
        return Status::error("the layer \"", layer.name, "\" of ", options.model, " does nothing for its loss");
      all.merge(decideGroups(layer, seen->second, choice, options.seed));
    }
    return all;
  };
}

/// By what the text used when the loss was measured.
ConvertRun::Decide ConvertRun::keptExperts(Session &before) {
  return [this, &before](const std::string &plan, Choice which) -> Result<Decisions> {
    KeepBy by = std::array{KeepBy::Usage, KeepBy::Similarity,
                           KeepBy::Random}[which == Choice::ByChance ? 2 : bench.choiceOf("by")];
    PEER_TRY_ASSIGN(std::vector<PrunedLayer> layers,
                    readPrunedLayers(plan, "the plan", before.parameters(), isMerge()));
    PEER_TRY_ASSIGN(LanguageEntry entry, findLanguageEntry(before.manifest(), EntryKind::Loss, options.model));
    Decisions all;
    for (const PrunedLayer &layer : layers) {
      const Argument *usage = nullptr;
      for (const Argument &argument : entry.entry->arguments)
        if (argument.role == Role::Usage && argument.name == layer.name)
          usage = &argument;
      std::vector<double> mass = usage ? readGateMass(before, *usage) : std::vector<double>();
      if (static_cast<int64_t>(mass.size()) != layer.before)
        return Status::error("the loss of ", options.model, " does not count the use of \"", layer.name, "\"");
      std::vector<int64_t> kept = chooseExperts(layer, mass, by, options.seed);
      all.merge(isMerge() ? mergeExperts(layer, mass, kept, which == Choice::Chosen) : keepExperts(layer, kept));
    }
    return all;
  };
}

/// The loss with more and fewer, eighths of the most that there can be, as they are chosen and by chance.
Status ConvertRun::measureCurve(const TensorMap &before, const std::string &option, int64_t most,
                                const Decide &decide) {
  std::set<int64_t> counts;
  for (int64_t eighths : {1, 2, 4, 6, 8})
    counts.insert(std::max<int64_t>(most * eighths / 8, 1));
  // A layer keeps at least what a token takes: fewer cannot be measured.
  if (option == "experts")
    std::erase_if(counts, [&](int64_t count) { return count < std::stoll(options.settings.at("experts")); });
  for (int64_t count : counts) {
    CurvePoint point{count, static_cast<double>(count) / static_cast<double>(most)};
    for (auto [which, name] : {std::pair{Choice::Chosen, "loss"},
                               {Choice::Dropped, "loss_by_dropping"},
                               {Choice::ByChance, "loss_by_chance"}}) {
      if (which == Choice::Dropped && !isMerge())
        continue;
      PEER_TRY_ASSIGN(Measurement measured,
                      bench.measureWith(
                          {{option, std::to_string(count)}}, before,
                          [&, which = which](const std::string &plan) { return decide(plan, which); },
                          options.evalTokens));
      point.losses.emplace_back(name, measured.loss);
    }
    report.curve.push_back(point);
  }
  return {};
}

Status ConvertRun::writeReport(const std::string &plan) {
  auto side = [](const Measurement &side) {
    return ordered_json{{"parameters", side.parameters},
                        {"active_parameters", side.active},
                        {"bytes", side.bytes},
                        {"loss", side.loss}};
  };
  ordered_json read = ordered_json::parse(plan, nullptr, /*allow_exceptions=*/false);
  ordered_json json{{"pass", options.pass},         {"model", options.model},        {"weights", options.weights},
                    {"data", options.data},         {"tokens", report.after.tokens}, {"seed", options.seed},
                    {"settings", options.settings}, {"set", options.pluginSettings}, {"before", side(report.before)},
                    {"after", side(report.after)}};
  ordered_json layers = read.is_object() ? read.value("layers", ordered_json::array()) : ordered_json::array();
  for (ordered_json &layer : layers) {
    if (auto notes = report.notes.find(layer.value("name", "")); notes != report.notes.end())
      for (const auto &[what, value] : notes->second)
        layer[what] = value;
    for (const char *expression : {"rows", "router", "pool"})
      layer.erase(expression);
    std::string line;
    auto textOf = [](const ordered_json &value) {
      char text[32];
      std::snprintf(text, sizeof text, "%.4f", value.is_number() ? value.get<double>() : 0);
      return value.is_number_float() ? text : value.is_string() ? value.get<std::string>() : value.dump();
    };
    for (const auto &[key, value] : layer.items())
      line += key == "name" ? "" : concat(line.empty() ? "" : ", ", key, " ", textOf(value));
    report.layers.push_back(concat(layer.value("name", ""), ": ", line));
  }
  json["layers"] = layers;
  for (const CurvePoint &point : report.curve) {
    ordered_json one{{"count", point.count}, {"share", point.share}};
    if (!point.what.empty())
      one[report.curveOf] = point.what;
    for (const auto &[which, loss] : point.losses)
      one[which] = loss;
    json["curve"].push_back(one);
  }
  return writeFile(bench.out.file("report.json"),
                   json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

Result<ConvertReport> ConvertRun::run() {
  PEER_TRY(bench.readData());
  PEER_TRY_ASSIGN(ModelHandle model, findModel(bench.source, bench.device));
  PEER_TRY_ASSIGN(auto before, Session::open(model, bench.device));
  PEER_TRY(loadWeights(*before, options.weights));
  PEER_TRY_ASSIGN(report.before, bench.measure(*before, options.model, options.evalTokens));

  const TensorMap &old = before->parameters();
  ConvertBench::Settings chosen;
  if (known && known->name == "drop-blocks") {
    PEER_TRY_ASSIGN(chosen, chooseBlocks(bench, old, report));
  } else if (known && known->name == "matformer") {
    PEER_TRY_ASSIGN(chosen["widths"], widthsOf(bench));
  }
  std::string name = fs::path(bench.source.file).filename().string(), description = bench.out.file(name),
              plan = bench.out.file("plan.json");
  PEER_TRY(bench.rewrite(description, plan, chosen));
  PEER_TRY_ASSIGN(std::string planText, readFile(plan));
  Decisions decisions;
  if (known && known->name == "moefy") {
    PEER_TRY_ASSIGN(TensorMap inputs, readLayers(old));
    PEER_TRY_ASSIGN(std::vector<DenseRows> layers, readDenseRows(planText, plan, old));
    Decide decide = groups(old, inputs);
    PEER_TRY_ASSIGN(decisions, decide(planText, Choice::Chosen));
    PEER_TRY(measureCurve(old, "top-k", layers.front().experts, decide));
  } else if (known && known->name == "prune-experts") {
    PEER_TRY_ASSIGN(std::vector<PrunedLayer> layers, readPrunedLayers(planText, plan, old));
    Decide decide = keptExperts(*before);
    PEER_TRY_ASSIGN(decisions, decide(planText, Choice::Chosen));
    auto fewest = std::ranges::min_element(layers, {}, &PrunedLayer::before);
    PEER_TRY(measureCurve(old, "experts", fewest->before, decide));
  } else if (known && known->name == "matformer") {
    ordered_json read = ordered_json::parse(planText, nullptr, /*allow_exceptions=*/false);
    std::vector<int64_t> hidden;
    for (const ordered_json &layer : read["layers"])
      hidden.push_back(layer.value("hidden_before", int64_t{1}));
    PEER_TRY(measureWidths(bench, old, hidden, report));
  }
  PEER_TRY_ASSIGN(ModelHandle converted, findModel(description, bench.device));
  PEER_TRY_ASSIGN(auto after, Session::open(converted, bench.device));
  PEER_TRY_ASSIGN(TensorMap parameters, applyPlan(planText, plan, after->manifest(), old, options.seed, decisions));
  std::string weights = bench.out.file(kWeightsFile);
  PEER_TRY(writeSafetensors(weights, parameters, {{"model", name}, {"converted_by", options.pass}}));
  parameters.clear();
  PEER_TRY(after->loadParameters(weights));
  PEER_TRY_ASSIGN(report.after, bench.measure(*after, description, options.evalTokens));
  PEER_TRY(writeReport(planText));
  std::error_code ignored;
  fs::remove(plan, ignored);
  PEER_TRY(bench.out.commit());
  return report;
}

/// What can be wrong with the options, before anything is read.
Status check(const ConvertOptions &options, const Conversion *known) {
  if (known && !options.pluginSettings.empty())
    return Status::error("--set is for passes of a --plugin: ", options.pass, " has options of its own");
  for (const auto &[name, value] : options.settings) {
    if (!known || std::ranges::find(known->options, name) == known->options.end())
      return Status::error(options.pass, " takes no --", name);
    std::string expected;
    for (std::string_view each : findConversionOption(name).values)
      expected += concat(expected.empty() ? "" : " or ", each);
    if (!expected.empty() &&
        std::ranges::find(findConversionOption(name).values, value) == findConversionOption(name).values.end())
      return Status::error("--", name, ": expected ", expected, ", got '", value, "'");
  }
  if (known && known->name == "prune-experts" && !options.settings.contains("experts"))
    return Status::error("prune-experts wants --experts: expected how many each layer keeps");
  for (const std::string &layer : options.layers)
    if (layer.empty() || layer.find_first_of(" ,;{}()<>[]'\"") != std::string::npos)
      return Status::error("--layers: expected the beginning of parameters' names, as blocks.1.ffw, got '", layer, "'");
  return {};
}

} // namespace

Result<ConvertReport> convert(const ConvertOptions &options, const std::string &device) {
  const Conversion *known = nullptr;
  if (options.plugin.empty()) {
    PEER_TRY_ASSIGN(known, findConversion(options.pass));
  }
  PEER_TRY(check(options, known));
  PEER_TRY_ASSIGN(ModelHandle description, findDescription(options.model, "a conversion rewrites it"));
  PEER_TRY_ASSIGN(NewDirectory out, NewDirectory::create(options.out, "--out"));
  return ConvertRun(options, description, device, known, std::move(out)).run();
}

} // namespace peer::runtime
