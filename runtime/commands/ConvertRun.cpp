#include "ConvertRun.h"

#include "Commands.h"
#include "ModelFile.h"

#include "convert/Moefy.h"
#include "convert/NewDirectory.h"
#include "convert/Passes.h"
#include "convert/Prune.h"
#include "core/File.h"
#include "lm/Eval.h"
#include "lm/training/RunFiles.h"

#include <algorithm>
#include <cmath>
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
  ConvertRun(const ConvertOptions &options, const std::string &device, NewDirectory out)
      : options(options), device(device), out(std::move(out)) {}
  Result<ConvertReport> run(const Conversion *conversion);

private:
  /// An option in place of what the user says of it, for what is only measured.
  using Instead = std::optional<std::pair<std::string_view, int64_t>>;
  Status rewrite(const std::string &description, const std::string &plan, const Instead &instead = std::nullopt);
  Status compilePasses(const std::string &from, const std::string &passes, const std::string &to);
  Result<Measurement> measure(Session &session, const std::string &model);
  Result<TensorMap> calibrate(const TensorMap &parameters);
  /// What the weights half of a plan finds; by chance where that is what others are compared with.
  using Decide = std::function<Result<Decisions>(const std::string &plan, bool byChance)>;
  Decide groups(const TensorMap &before, const TensorMap &inputs);
  Decide keptExperts(Session &before);
  Status measureCurve(const TensorMap &before, std::string_view option, int64_t most, const Decide &decide);
  /// Which of an option's values is given; the first where it is not.
  size_t choiceOf(const std::string &option) const;
  Status writeReport(const std::string &plan);

  const ConvertOptions &options;
  const std::string &device;
  NewDirectory out;
  const Conversion *known = nullptr;
  TextSource text;
  ConvertReport report;
};

/// Gives a session those of the parameters that its model has.
Status setParameters(Session &session, const TensorMap &parameters) {
  PEER_TRY(session.initParameters(0));
  for (auto &[name, tensor] : session.parameters()) {
    auto found = parameters.find(name);
    if (found == parameters.end() || found->second.dtype() != tensor.dtype() || found->second.shape() != tensor.shape())
      return Status::error(session.path(), " wants a parameter \"", name, "\" that the model has not");
    std::memcpy(tensor.data(), found->second.data(), tensor.bytes());
  }
  return {};
}

Status ConvertRun::compilePasses(const std::string &from, const std::string &passes, const std::string &to) {
  std::vector<std::string> command{from};
  if (!options.plugin.empty())
    command.push_back("--load-pass-plugin=" + options.plugin);
  command.insert(command.end(), {"--pass-pipeline=builtin.module(" + passes + ")", "-o", to});
  return callCompiler(from, command);
}

/// The description half: the compiler writes the new description, or what measures it, and the plan of the weights.
Status ConvertRun::rewrite(const std::string &description, const std::string &plan, const Instead &instead) {
  // Quoted, since names of directories may hold spaces.
  std::string text = concat("plan=\"", plan, "\""), layers;
  for (const auto &[name, value] : options.settings)
    if (!findConversionOption(name).forWeights && !(instead && name == instead->first))
      text += concat(" ", name, "=", value);
  if (instead)
    text += concat(" ", instead->first, "=", instead->second);
  for (const std::string &layer : options.layers)
    layers += (layers.empty() ? "" : ",") + layer;
  if (!layers.empty())
    text += concat(" layers=", layers);
  for (const std::string &setting : options.pluginSettings)
    text += " " + setting;
  PEER_TRY(compilePasses(options.model,
                         concat("peer-verify-level{level=model},", known ? "peer-" : "", options.pass, "{", text, "}",
                                instead ? ",peer-inline-modules,peer-calibrate{of=loss}" : ""),
                         description));
  if (std::error_code ignored; !fs::exists(plan, ignored))
    return Status::error("the pass ", options.pass, " wrote no plan of the weights: it is no conversion");
  return {};
}

Result<Measurement> ConvertRun::measure(Session &session, const std::string &model) {
  PEER_TRY_ASSIGN(LanguageEntry entry, findLanguageEntry(session.manifest(), EntryKind::Loss, model));
  PEER_TRY(checkTextLength(text.bytes, entry.context, options.data));
  PEER_TRY(checkTextRange(text, byteRange(entry), model));
  EvalOptions how;
  how.batch = options.batch;
  how.maxContexts = options.evalTokens ? std::max<int64_t>(options.evalTokens / entry.context, 1) : 0;
  PEER_TRY_ASSIGN(EvalRecord record, evaluateText(session, entry, text.bytes, how));
  if (!std::isfinite(record.loss))
    return Status::error("the loss of ", model, " on ", options.data, " is ", record.loss,
                         ": the weights are damaged or diverged");
  Measurement result{0, entry.entry->activeParameters.value_or(0), 0, record.tokens, record.loss};
  for (const auto &[name, tensor] : session.parameters()) {
    result.parameters += tensor.elements();
    result.bytes += static_cast<int64_t>(tensor.bytes());
  }
  return result;
}

/// What dense layers read of the text: `LAYER.x`, tokens x width.
Result<TensorMap> ConvertRun::calibrate(const TensorMap &parameters) {
  std::string description = out.file("calibrate.mlir");
  PEER_TRY(compilePasses(options.model, "peer-verify-level{level=model},peer-inline-modules,peer-calibrate{of=dense}",
                         description));
  PEER_TRY_ASSIGN(ModelHandle model, findModel(description, device));
  PEER_TRY_ASSIGN(auto session, Session::open(model, device));
  PEER_TRY(setParameters(*session, parameters));
  PEER_TRY_ASSIGN(const Entry *entry, session->entry("calibrate"));
  LanguageEntry language{entry, entry->multipleOf};
  int64_t there = countContexts(text.bytes, language.context);
  int64_t total = std::clamp<int64_t>(options.calibrationTokens / language.context, 1, there);
  std::map<std::string, std::vector<float>> values;
  TensorMap result;
  for (int64_t done = 0; done < total; ++done) {
    PEER_TRY_ASSIGN(TensorMap inputs, makeLanguageInputs(language, 1));
    copyContext(text.bytes, language.context, done * there / total, inputs.at("tokens").as<int32_t>().data(),
                inputs.at("targets").as<int32_t>().data());
    PEER_TRY_ASSIGN(TensorMap seen, session->call(*entry, inputs, session->defaultScalars(*entry)));
    for (auto &[name, tensor] : seen) {
      Shape shape = tensor.shape();
      shape[0] = total * language.context;
      if (!result.contains(name)) {
        PEER_TRY_ASSIGN(Tensor all, Tensor::zeros(tensor.dtype(), shape, name));
        result.emplace(name, std::move(all));
      }
      std::memcpy(static_cast<char *>(result.at(name).data()) + static_cast<size_t>(done) * tensor.bytes(),
                  tensor.data(), tensor.bytes());
    }
  }
  std::error_code ignored;
  fs::remove(description, ignored);
  return result;
}

size_t ConvertRun::choiceOf(const std::string &option) const {
  auto given = options.settings.find(option);
  const auto &values = findConversionOption(option).values;
  return given == options.settings.end()
             ? 0
             : static_cast<size_t>(std::ranges::find(values, given->second) - values.begin());
}

ConvertRun::Decide ConvertRun::groups(const TensorMap &before, const TensorMap &inputs) {
  return [this, &before, &inputs](const std::string &plan, bool byChance) -> Result<Decisions> {
    using Grouping = MoefyChoice::Grouping;
    using Router = MoefyChoice::Router;
    MoefyChoice choice;
    choice.grouping =
        std::array{Grouping::Coactivation, Grouping::Weights, Grouping::Random}[byChance ? 2 : choiceOf("grouping")];
    choice.router = std::array{Router::Linear, Router::Similarity, Router::Random}[choiceOf("router")];
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
  return [this, &before](const std::string &plan, bool byChance) -> Result<Decisions> {
    KeepBy by = std::array{KeepBy::Usage, KeepBy::Similarity, KeepBy::Random}[byChance ? 2 : choiceOf("by")];
    PEER_TRY_ASSIGN(std::vector<PrunedLayer> layers, readPrunedLayers(plan, "the plan", before.parameters()));
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
      PEER_TRY_ASSIGN(Tensor numbers, Tensor::zeros(DType::F32, {layer.after}, layer.name));
      std::ranges::copy(kept, numbers.as<float>().begin());
      all.emplace("kept:" + layer.name, std::move(numbers));
    }
    return all;
  };
}

/// The loss with more and fewer, eighths of the most that there can be, as they are chosen and by chance.
Status ConvertRun::measureCurve(const TensorMap &before, std::string_view option, int64_t most, const Decide &decide) {
  std::set<int64_t> counts;
  for (int64_t eighths : {1, 2, 4, 6, 8})
    counts.insert(std::max<int64_t>(most * eighths / 8, 1));
  // A layer keeps at least what a token takes: fewer cannot be measured.
  if (option == "experts")
    std::erase_if(counts, [&](int64_t count) { return count < std::stoll(options.settings.at("experts")); });
  std::string description = out.file("curve.mlir"), plan = out.file("curve.json");
  for (int64_t count : counts) {
    PEER_TRY(rewrite(description, plan, std::pair(option, count)));
    PEER_TRY_ASSIGN(std::string planText, readFile(plan));
    PEER_TRY_ASSIGN(ModelHandle model, findModel(description, device));
    CurvePoint point{count, static_cast<double>(count) / static_cast<double>(most)};
    for (bool byChance : {false, true}) {
      PEER_TRY_ASSIGN(Decisions decisions, decide(planText, byChance));
      PEER_TRY_ASSIGN(auto session, Session::open(model, device));
      PEER_TRY_ASSIGN(TensorMap parameters,
                      applyPlan(planText, plan, session->manifest(), before, options.seed, decisions));
      PEER_TRY(setParameters(*session, parameters));
      PEER_TRY_ASSIGN(Measurement measured, measure(*session, description));
      (byChance ? point.lossOfRandom : point.loss) = measured.loss;
    }
    report.curve.push_back(point);
  }
  std::error_code ignored;
  fs::remove(description, ignored);
  fs::remove(plan, ignored);
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
    for (const char *expression : {"rows", "router"})
      layer.erase(expression);
    std::string line;
    for (const auto &[key, value] : layer.items())
      line += key == "name" ? ""
                            : concat(line.empty() ? "" : ", ", key, " ",
                                     value.is_string() ? value.get<std::string>() : value.dump());
    report.layers.push_back(concat(layer.value("name", ""), ": ", line));
  }
  json["layers"] = layers;
  for (const CurvePoint &point : report.curve)
    json["curve"].push_back(
        {{"count", point.count}, {"share", point.share}, {"loss", point.loss}, {"loss_by_chance", point.lossOfRandom}});
  return writeFile(out.file("report.json"), json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

Result<ConvertReport> ConvertRun::run(const Conversion *conversion) {
  known = conversion;
  PEER_TRY_ASSIGN(text, readText(options.data));
  PEER_TRY_ASSIGN(ModelHandle model, findModel(options.model, device));
  PEER_TRY_ASSIGN(auto before, Session::open(model, device));
  PEER_TRY(loadWeights(*before, options.weights));
  PEER_TRY_ASSIGN(report.before, measure(*before, options.model));

  std::string name = fs::path(options.model).filename().string(), description = out.file(name),
              plan = out.file("plan.json");
  PEER_TRY(rewrite(description, plan));
  PEER_TRY_ASSIGN(std::string planText, readFile(plan));
  Decisions decisions;
  const TensorMap &old = before->parameters();
  if (known && known->name == "moefy") {
    PEER_TRY_ASSIGN(TensorMap inputs, calibrate(old));
    PEER_TRY_ASSIGN(std::vector<DenseRows> layers, readDenseRows(planText, plan, old));
    Decide decide = groups(old, inputs);
    PEER_TRY_ASSIGN(decisions, decide(planText, /*byChance=*/false));
    PEER_TRY(measureCurve(old, "top-k", layers.front().experts, decide));
  } else if (known && known->name == "prune-experts") {
    PEER_TRY_ASSIGN(std::vector<PrunedLayer> layers, readPrunedLayers(planText, plan, old));
    Decide decide = keptExperts(*before);
    PEER_TRY_ASSIGN(decisions, decide(planText, /*byChance=*/false));
    auto fewest = std::ranges::min_element(layers, {}, &PrunedLayer::before);
    PEER_TRY(measureCurve(old, "experts", fewest->before, decide));
  }
  PEER_TRY_ASSIGN(ModelHandle converted, findModel(description, device));
  PEER_TRY_ASSIGN(auto after, Session::open(converted, device));
  PEER_TRY_ASSIGN(TensorMap parameters, applyPlan(planText, plan, after->manifest(), old, options.seed, decisions));
  std::string weights = out.file(kWeightsFile);
  PEER_TRY(writeSafetensors(weights, parameters, {{"model", name}, {"converted_by", options.pass}}));
  parameters.clear();
  PEER_TRY(after->loadParameters(weights));
  PEER_TRY_ASSIGN(report.after, measure(*after, description));
  PEER_TRY(writeReport(planText));
  std::error_code ignored;
  fs::remove(plan, ignored);
  PEER_TRY(out.commit());
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
  for (const std::string &layer : options.layers)
    if (layer.empty() || layer.find_first_of(" ,;{}()<>[]'\"") != std::string::npos)
      return Status::error("--layers: expected the beginning of parameters' names, as blocks.1.ffw, got '", layer, "'");
  if (!options.model.ends_with(".mlir"))
    return Status::error(
        options.model,
        " is compiled, and a conversion rewrites what it was compiled from: expected its description (.mlir)");
  return {};
}

} // namespace

Result<ConvertReport> convert(const ConvertOptions &options, const std::string &device) {
  const Conversion *known = nullptr;
  if (options.plugin.empty()) {
    PEER_TRY_ASSIGN(known, findConversion(options.pass));
  }
  PEER_TRY(check(options, known));
  PEER_TRY_ASSIGN(NewDirectory out, NewDirectory::create(options.out, "--out"));
  return ConvertRun(options, device, std::move(out)).run(known);
}

} // namespace peer::runtime
