// The settings of a training run.

#include "TrainSettings.h"

#include <nlohmann/json.hpp>

namespace peer::runtime {
namespace {

/// Hashes are stored as text: a JSON number would lose their low bits in most readers.
std::string hashToText(uint64_t hash) {
  char text[24];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

} // namespace

std::string TrainSettings::toJson() const {
  nlohmann::ordered_json json{{"model", model},
                              {"data", data},
                              {"eval_data", evalData},
                              {"steps", steps},
                              {"batch", batch},
                              {"context", context},
                              {"seed", seed},
                              {"lr", learningRates},
                              {"schedule", toString(schedule.kind)},
                              {"warmup", schedule.warmup},
                              {"train_hash", hashToText(trainHash)},
                              {"validation_hash", hashToText(validationHash)}};
  // A path may hold bytes that are no UTF-8; it must not keep a run from being saved.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::map<std::string, double>> resolveLearningRates(const Manifest &manifest, const TrainOptions &options) {
  std::map<std::string, double> rates;
  std::string names;
  for (const Group &group : manifest.groups) {
    double otherwise = group.learningRate;
    if (options.learningRate && group.name != kExpertGroup)
      otherwise = *options.learningRate;
    auto given = options.groupRates.find(group.name);
    rates[group.name] = given == options.groupRates.end() ? otherwise : given->second;
    names += (names.empty() ? "" : ", ") + group.name;
  }
  for (const auto &[name, rate] : options.groupRates)
    if (!rates.contains(name))
      return Status::error(options.model, " trains no parameter group '", name,
                           "', for which a learning rate was given; its groups are ", names);
  return rates;
}

Status checkSameRun(const std::string &json, const TrainSettings &now, const std::string &path) {
  nlohmann::json then = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!then.is_object())
    return Status::error(path, " is no checkpoint of a training run: expected settings as the metadata 'run'");
  auto same = [&](const char *key, const nlohmann::json &value, const char *flag) -> Status {
    nlohmann::json before = then.value(key, nlohmann::json());
    if (before == value)
      return {};
    return Status::error("cannot resume from ", path, " with ", flag, " ", value.dump(), ": its run has ",
                         before.dump());
  };
  PEER_TRY(same("seed", now.seed, "--seed"));
  PEER_TRY(same("batch", now.batch, "--batch"));
  PEER_TRY(same("context", now.context, "a context of"));
  auto sameText = [&](const char *key, uint64_t hash, const char *what, const std::string &source) -> Status {
    if (then.value(key, nlohmann::json()) == nlohmann::json(hashToText(hash)))
      return {};
    return Status::error("cannot resume from ", path, ": the ", what, " text from ", source,
                         " is not the one its run began with");
  };
  PEER_TRY(sameText("train_hash", now.trainHash, "training", now.data));
  return sameText("validation_hash", now.validationHash, "validation", now.evalData.empty() ? now.data : now.evalData);
}

} // namespace peer::runtime
