// What a comparison of models found.

#include "Comparison.h"

#include "lm/Progress.h"

#include <nlohmann/json.hpp>

namespace peer::runtime {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json &json, int indent) {
  // A path may hold bytes that are no UTF-8.
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <typename T>
Json orNull(const std::optional<T> &value) {
  return value ? Json(*value) : Json();
}

Json layersJson(const std::vector<LayerUsage> &layers) {
  Json list = Json::array();
  for (const LayerUsage &layer : layers)
    list.push_back({{"name", layer.name},
                    {"experts", layer.experts},
                    {"usage", layer.metrics.usage},
                    {"unevenness", layer.metrics.unevenness}});
  return list;
}

Json toJson(const SeedResult &run) {
  Json json{{"seed", run.seed}, {"steps", run.steps}, {"seconds", run.seconds}};
  if (!run.failure.empty())
    json["failure"] = run.failure;
  else
    json.update({{"tokens_per_s", run.tokensPerSecond}, {"loss", run.loss}, {"layers", layersJson(run.layers)}});
  if (run.disabledLoss)
    json["loss_top_off"] = *run.disabledLoss;
  Json curve = Json::array();
  for (const CurvePoint &point : run.curve)
    curve.push_back({{"step", point.step}, {"seconds", point.seconds}, {"loss", point.loss}});
  json["curve"] = std::move(curve);
  return json;
}

Json toJson(const Spread &spread) {
  if (spread.count == 0)
    return {};
  return {{"mean", spread.mean}, {"deviation", orNull(spread.deviation)}};
}

Json toJson(const std::optional<ModelFacts::Work> &work) {
  return work ? Json{{"flops_per_token", work->flops}, {"bytes_per_token", work->bytes}} : Json();
}

Json toJson(const ModelFacts &model) {
  Json rates = Json::array();
  for (const ModelFacts::Rate &rate : model.rates)
    rates.push_back({{"group", rate.group}, {"optimizer", rate.optimizer}, {"rate", rate.rate}, {"lazy", rate.lazy}});
  return {{"name", model.name},
          {"file", model.file},
          {"parameters", model.parameters},
          {"active_parameters", orNull(model.active)},
          {"loss", toJson(model.loss)},
          {"train", toJson(model.train)},
          {"learning_rates", std::move(rates)},
          {"top_off_not_applicable", model.notDisabled}};
}

Json toJson(const BudgetResult &budget, const std::vector<ModelFacts> &models) {
  Json list = Json::array();
  for (size_t m = 0; m < models.size(); ++m) {
    const std::vector<SeedResult> &runs = budget.runs[m];
    Json seeds = Json::array();
    for (const SeedResult &run : runs)
      seeds.push_back(toJson(run));
    list.push_back(
        {{"model", models[m].name},
         {"loss", toJson(spreadOf(runs, [](const SeedResult &r) { return std::optional(r.loss); }))},
         {"loss_top_off", toJson(spreadOf(runs, [](const SeedResult &r) { return r.disabledLoss; }))},
         {"tokens_per_s", toJson(spreadOf(runs, [](const SeedResult &r) { return std::optional(r.tokensPerSecond); }))},
         {"layers", layersJson(meanUsage(runs))},
         {"runs", std::move(seeds)}});
  }
  return {{"steps", orNull(budget.steps)}, {"seconds", orNull(budget.seconds)}, {"results", std::move(list)}};
}

/// Operations and bytes of an entry's kernels.
std::optional<ModelFacts::Work> workPerToken(const Entry *entry, int64_t tokens) {
  if (!entry || entry->kernels.empty() || tokens <= 0)
    return std::nullopt;
  ModelFacts::Work work;
  for (const KernelInfo &kernel : entry->kernels) {
    work.flops += kernel.flopsAt(tokens) / static_cast<double>(tokens);
    work.bytes += kernel.bytesAt(tokens) / static_cast<double>(tokens);
  }
  return work;
}

} // namespace

std::string BudgetResult::text() const {
  if (steps)
    return concat(formatCount(static_cast<double>(*steps)), *steps == 1 ? " step" : " steps");
  return concat(*seconds, *seconds == 1 ? " second" : " seconds");
}

std::vector<LayerUsage> meanUsage(const std::vector<SeedResult> &runs) {
  std::vector<LayerUsage> mean;
  double count = 0;
  for (const SeedResult &run : runs) {
    if (!run.failure.empty())
      continue;
    if (++count == 1)
      mean = run.layers;
    // The layers of one model are the same ones, in their order.
    for (size_t i = 0; count > 1 && i < std::min(mean.size(), run.layers.size()); ++i) {
      mean[i].metrics.usage += (run.layers[i].metrics.usage - mean[i].metrics.usage) / count;
      mean[i].metrics.unevenness += (run.layers[i].metrics.unevenness - mean[i].metrics.unevenness) / count;
    }
  }
  return mean;
}

ModelFacts describeModel(const Manifest &manifest, const std::map<std::string, double> &rates, int64_t tokens) {
  ModelFacts facts;
  for (const Parameter &parameter : manifest.parameters) {
    double elements = 1;
    for (int64_t size : parameter.shape)
      elements *= static_cast<double>(size);
    facts.parameters += elements;
  }
  const Entry *loss = manifest.findEntry(EntryKind::Loss);
  if (loss)
    facts.active = loss->activeParameters;
  facts.loss = workPerToken(loss, tokens);
  facts.train = workPerToken(manifest.findEntry(EntryKind::Train), tokens);
  for (const Group &group : manifest.groups)
    if (auto rate = rates.find(group.name); rate != rates.end())
      facts.rates.push_back({group.name, group.optimizer, rate->second, group.lazy});
  return facts;
}

std::string resultJson(const SeedResult &result) { return dump(toJson(result), 1) + "\n"; }

std::optional<SeedResult> parseResult(const std::string &text) {
  try {
    Json json = Json::parse(text);
    SeedResult run;
    run.seed = json.at("seed");
    run.steps = json.at("steps");
    run.seconds = json.at("seconds");
    run.failure = json.value("failure", "");
    if (run.failure.empty()) {
      run.tokensPerSecond = json.at("tokens_per_s");
      run.loss = json.at("loss");
      if (json.contains("loss_top_off"))
        run.disabledLoss = json.at("loss_top_off").get<double>();
      for (const Json &layer : json.at("layers"))
        run.layers.push_back({layer.at("name"), layer.at("experts"), {layer.at("usage"), layer.at("unevenness")}});
    }
    for (const Json &point : json.at("curve"))
      run.curve.push_back({point.at("step"), point.at("seconds"), point.at("loss")});
    return run;
  } catch (const Json::exception &) {
    return std::nullopt;
  }
}

std::string Comparison::toJson() const {
  Json common = Json::object(), list = Json::array(), results = Json::array();
  for (const auto &[name, value] : settings)
    common[name] = value;
  for (const ModelFacts &model : models)
    list.push_back(runtime::toJson(model));
  for (const BudgetResult &budget : budgets)
    results.push_back(runtime::toJson(budget, models));
  return dump({{"settings", std::move(common)},
               {"seeds", seeds},
               {"disabled_top_experts", disabledExperts},
               {"runs_finished", runsFinished},
               {"runs", runsTotal},
               {"unigram_entropy", unigramEntropy},
               {"models", std::move(list)},
               {"budgets", std::move(results)}},
              1) +
         "\n";
}

} // namespace peer::runtime
