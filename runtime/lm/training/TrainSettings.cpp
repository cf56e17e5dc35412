// The settings of a training run.

#include "TrainSettings.h"

#include <nlohmann/json.hpp>

#include <set>

namespace peer::runtime {
namespace {

using Json = nlohmann::ordered_json;

/// A member that is a string; empty where there is none.
std::string textOf(const Json &json, const char *key) {
  auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Hashes are stored as text: a JSON number would lose their low bits in most readers.
std::string hashToText(uint64_t hash) {
  char text[24];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

} // namespace

Schedule TrainSettings::scheduleOf(const std::string &group) const {
  Schedule result = schedule;
  if (auto own = groupSchedules.find(group); own != groupSchedules.end())
    result.kind = own->second;
  return result;
}

std::string TrainSettings::toJson() const {
  Json json{{"model", model},
            {"data", data},
            {"eval_data", evalData},
            {"steps", steps},
            {"batch", batch},
            {"accumulate", accumulate},
            {"context", context},
            {"seed", seed},
            {"lr", learningRates},
            {"schedule", toString(schedule.kind)},
            {"warmup", schedule.warmup},
            {"train_hash", hashToText(trainHash)},
            {"validation_hash", hashToText(validationHash)},
            {"eval_every", evalEvery},
            {"eval_tokens", evalTokens},
            {"threads", threads},
            {"device", device},
            {"loss_fingerprint", lossFingerprint},
            {"train_fingerprint", trainFingerprint}};
  if (seconds > 0)
    json["seconds"] = seconds;
  if (!weights.empty())
    json["weights"] = weights;
  for (const auto &[group, kind] : groupSchedules)
    json["group_schedules"][group] = toString(kind);
  // A path may hold bytes that are no UTF-8; it must not keep a run from being saved.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace {

/// Checks that the model trains the groups which something was given for.
template <typename T>
Status checkGroups(const Manifest &manifest, const std::map<std::string, T> &given, const TrainOptions &options,
                   const char *what) {
  std::string names;
  for (const Group &group : manifest.groups)
    names += (names.empty() ? "" : ", ") + group.name;
  for (const auto &[name, value] : given)
    if (!manifest.findGroup(name))
      return Status::error(options.model, " trains no parameter group '", name, "', for which a ", what,
                           " was given; its groups are ", names);
  return {};
}

} // namespace

Result<std::map<std::string, ScheduleKind>> resolveSchedules(const Manifest &manifest, const TrainOptions &options) {
  PEER_TRY(checkGroups(manifest, options.groupSchedules, options, "schedule"));
  std::map<std::string, ScheduleKind> schedules = options.groupSchedules;
  for (const Group &group : manifest.groups) {
    if (group.schedule.empty() || schedules.contains(group.name))
      continue;
    std::optional<ScheduleKind> kind = parseScheduleKind(group.schedule);
    if (!kind)
      return Status::error(options.model, " wants a schedule '", group.schedule, "' for the group '", group.name,
                           "': expected constant, linear or cosine; this peer-run may be older than the model");
    schedules[group.name] = *kind;
  }
  return schedules;
}

void dropUnknownGroups(TrainOptions &options, const Manifest &manifest) {
  auto isUnknown = [&](const auto &given) { return !manifest.findGroup(given.first); };
  std::erase_if(options.groupRates, isUnknown);
  std::erase_if(options.groupSchedules, isUnknown);
}

Result<std::map<std::string, double>> resolveLearningRates(const Manifest &manifest, const TrainOptions &options) {
  PEER_TRY(checkGroups(manifest, options.groupRates, options, "learning rate"));
  std::map<std::string, double> rates;
  for (const Group &group : manifest.groups) {
    double otherwise = group.learningRate;
    if (options.learningRate && group.name != kExpertGroup)
      otherwise = *options.learningRate;
    auto given = options.groupRates.find(group.name);
    rates[group.name] = given == options.groupRates.end() ? otherwise : given->second;
  }
  return rates;
}

namespace {

/// A step must have as many sequences, in whatever micro-batches.
Status checkSameBatch(const Json &then, const TrainSettings &now, const std::string &path) {
  Json batch = then.value("batch", Json()), accumulate = then.value("accumulate", Json(1));
  bool known = batch.is_number_integer() && accumulate.is_number_integer();
  if (known && batch.get<double>() * accumulate.get<double>() == static_cast<double>(now.batch * now.accumulate))
    return {};
  auto flags = [](const Json &batch, const Json &accumulate) {
    return accumulate == 1 ? batch.dump() : concat(batch.dump(), " --accumulate ", accumulate.dump());
  };
  return Status::error("cannot resume from ", path, " with --batch ", flags(now.batch, now.accumulate),
                       ": its run has ", accumulate == 1 ? "" : "--batch ", flags(batch, accumulate));
}

/// What both runs must have in common.
Status checkSameRun(const Json &then, const TrainSettings &now, const std::string &path) {
  auto same = [&](const char *key, const Json &value, const char *flag) -> Status {
    Json before = then.value(key, Json());
    if (before == value)
      return {};
    return Status::error("cannot resume from ", path, " with ", flag, " ", value.dump(), ": its run has ",
                         before.dump());
  };
  PEER_TRY(same("seed", now.seed, "--seed"));
  PEER_TRY(checkSameBatch(then, now, path));
  PEER_TRY(same("context", now.context, "a context of"));
  auto sameText = [&](const char *key, uint64_t hash, const char *what, const std::string &source) -> Status {
    if (then.value(key, Json()) == Json(hashToText(hash)))
      return {};
    return Status::error("cannot resume from ", path, ": the ", what, " text from ", source,
                         " is not the one its run began with");
  };
  PEER_TRY(sameText("train_hash", now.trainHash, "training", now.data));
  PEER_TRY(
      sameText("validation_hash", now.validationHash, "validation", now.evalData.empty() ? now.data : now.evalData));
  std::string model = textOf(then, "loss_fingerprint");
  if (!model.empty() && !now.lossFingerprint.empty() && model != now.lossFingerprint)
    return Status::error("cannot resume from ", path, ": ", now.model, " is another model than its run's ",
                         textOf(then, "model"), " (fingerprint ", now.lossFingerprint, ", expected ", model, ")");
  return {};
}

/// What is said of a group's schedule where one of the runs has one of its own.
std::vector<std::string> compareGroupSchedules(const Json &then, const Json &now) {
  auto own = [](const Json &run) {
    Json schedules = run.value("group_schedules", Json::object());
    return schedules.is_object() ? schedules : Json::object();
  };
  auto scheduleOf = [&](const Json &run, const std::string &group) {
    std::string schedule = textOf(own(run), group.c_str());
    return schedule.empty() ? textOf(run, "schedule") : schedule;
  };
  std::set<std::string> groups;
  for (const Json *run : {&then, &now})
    for (const Json schedules = own(*run); const auto &[group, kind] : schedules.items())
      groups.insert(group);
  std::vector<std::string> lines;
  for (const std::string &group : groups)
    if (std::string is = scheduleOf(now, group), was = scheduleOf(then, group); is != was && !was.empty())
      lines.push_back(
          concat("differs from the run so far: the schedule of the group '", group, "' is ", is, ", was ", was));
  return lines;
}

/// The settings that may differ, each as a name and what a user reads of it.
using Shown = std::vector<std::pair<std::string, std::string>>;

Shown show(const Json &run) {
  Shown shown;
  auto add = [&](const char *key, const char *name) {
    if (auto found = run.find(key); found != run.end())
      shown.emplace_back(name, found->is_string() ? found->get<std::string>() : found->dump());
  };
  add("model", "the model's file");
  add("train_fingerprint", "the training step's fingerprint (its optimizer or gradient)");
  add("device", "the device");
  add("threads", "--threads");
  add("data", "--data (the same text)");
  add("eval_data", "--eval-data (the same text)");
  add("weights", "--weights");
  add("steps", "--steps");
  add("seconds", "--seconds");
  add("batch", "--batch");
  add("accumulate", "--accumulate");
  if (auto rates = run.find("lr"); rates != run.end() && rates->is_object())
    for (auto &[group, rate] : rates->items())
      shown.emplace_back(concat("the learning rate of the group '", group, "'"), rate.dump());
  add("schedule", "--schedule");
  add("warmup", "--warmup");
  add("eval_every", "--eval-every");
  add("eval_tokens", "--eval-tokens");
  return shown;
}

} // namespace

Result<std::vector<std::string>> compareRuns(const std::string &json, const TrainSettings &now,
                                             const std::string &path) {
  Json then = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!then.is_object())
    return Status::error(path, " is no checkpoint of a training run: expected settings as the metadata 'run'");
  if (!then.contains("accumulate"))
    then["accumulate"] = 1; // of a run from before there was a choice
  PEER_TRY(checkSameRun(then, now, path));
  std::vector<std::string> lines;
  if (textOf(then, "loss_fingerprint").empty() || now.lossFingerprint.empty())
    lines.push_back(concat(textOf(then, "loss_fingerprint").empty() ? path : now.model,
                           " was made before models had fingerprints: that the run goes on with its own model was not "
                           "checked"));
  Shown before = show(then);
  Json present = Json::parse(now.toJson());
  for (const auto &[name, value] : show(present))
    for (const auto &[old, was] : before)
      // Checkpoints of before lack some, and what is not known differs from nothing.
      if (name == old && value != was && !value.empty() && !was.empty())
        lines.push_back(concat("differs from the run so far: ", name, " is ", value, ", was ", was));
  for (std::string &line : compareGroupSchedules(then, present))
    lines.push_back(std::move(line));
  return lines;
}

} // namespace peer::runtime
