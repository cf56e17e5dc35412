// The beginning of a comparison, new or resumed.

#include "CompareRun.h"

#include "core/File.h"
#include "core/Outputs.h"
#include "model/Artifact.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <omp.h>

namespace peer::runtime {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

/// What a table calls a model: the file's name without its ending, or all of it where that names two.
std::string nameOf(const std::vector<ComparedModel> &models, size_t index) {
  std::string stem = fs::path(models[index].model).stem().string();
  for (size_t other = 0; other < models.size(); ++other)
    if (other != index && fs::path(models[other].model).stem().string() == stem)
      return models[index].model;
  return stem;
}

/// An error where two models cannot read the same batches.
Status checkAlike(const LanguageEntry &a, const std::string &nameA, const LanguageEntry &b, const std::string &nameB) {
  if (a.context != b.context)
    return Status::error(nameA, " has a context of ", a.context, " tokens and ", nameB, " one of ", b.context,
                         ": expected models that read the same batches");
  std::array<int64_t, 2> rangeA = byteRange(a), rangeB = byteRange(b);
  if (rangeA != rangeB)
    return Status::error(nameA, " takes tokens from ", rangeA[0], " to ", rangeA[1] - 1, " and ", nameB, " from ",
                         rangeB[0], " to ", rangeB[1] - 1, ": expected models of the same vocabulary");
  return {};
}

} // namespace

Status CompareRun::checkModel(const ComparedModel &model) {
  PEER_TRY_ASSIGN(Manifest read, readManifest(model.artifact));
  auto manifest = std::make_unique<Manifest>(std::move(read));
  PEER_TRY_ASSIGN(LanguageEntry train, findLanguageEntry(*manifest, EntryKind::Train, model.model));
  PEER_TRY_ASSIGN(LanguageEntry loss, findLanguageEntry(*manifest, EntryKind::Loss, model.model));
  PEER_TRY(checkAlike(train, concat("the training step of ", model.model), loss, "its loss"));
  if (!trainEntries.empty())
    PEER_TRY(checkAlike(trainEntries.front(), options.models.front().model, train, model.model));
  fingerprints.push_back(loss.entry->fingerprint + train.entry->fingerprint);

  TrainOptions given = options.common;
  given.model = model.model;
  // A rate or a schedule for a group is one for the models that have it.
  dropUnknownGroups(given, *manifest);
  PEER_TRY_ASSIGN(auto rates, resolveLearningRates(*manifest, given));
  ModelFacts facts = describeModel(*manifest, rates, options.common.batch * train.context);
  facts.name = nameOf(options.models, comparison.models.size());
  facts.file = model.model;
  facts.notDisabled = model.notDisabled;
  comparison.models.push_back(std::move(facts));
  trainEntries.push_back(train);
  manifests.push_back(std::move(manifest));
  return {};
}

Status CompareRun::checkModels() {
  if (options.models.size() < 2)
    return Status::error("there is one model to compare: expected two or more");
  for (size_t i = 0; i < options.models.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (isSameFile(options.models[i].model, options.models[j].model))
        return Status::error(options.models[j].model, " is given twice",
                             options.models[i].model == options.models[j].model
                                 ? std::string()
                                 : concat(", also as ", options.models[i].model));
  for (const ComparedModel &model : options.models)
    PEER_TRY(checkModel(model));
  auto checkGroups = [&](const auto &given, const char *what) -> Status {
    for (const auto &[group, value] : given) {
      auto has = [&](const std::unique_ptr<Manifest> &manifest) { return manifest->findGroup(group) != nullptr; };
      if (std::none_of(manifests.begin(), manifests.end(), has))
        return Status::error("none of the models trains a parameter group '", group, "', for which a ", what,
                             " was given");
    }
    return {};
  };
  PEER_TRY(checkGroups(options.common.groupRates, "learning rate"));
  return checkGroups(options.common.groupSchedules, "schedule");
}

Status CompareRun::checkPlace() {
  std::error_code error;
  fs::path directory(options.out);
  if (isSameFile(options.out, options.common.data) || isSameFile(options.out, options.common.evalData))
    return Status::error("--out ", options.out, " is the directory that the data is read from: expected another one");
  if (fs::exists(directory, error) && !fs::is_directory(directory, error))
    return Status::error("cannot write a comparison to ", options.out,
                         ": expected a directory, or no file of this name");
  bool there = fs::exists(directory / kCompareSettings, error);
  if (options.resume && !there)
    return Status::error(options.out, " holds no comparison to resume: expected ", kCompareSettings, " in it");
  if (options.resume)
    return {};
  bool empty = !fs::exists(directory, error) || fs::is_empty(directory, error);
  if (error)
    return Status::error("cannot read the directory ", options.out, ": ", error.message());
  if (!empty)
    return Status::error(options.out, there ? " already holds a comparison: add --resume to go on with it, or name "
                                              "another directory with --out"
                                            : " is not empty: name another directory with --out");
  return {};
}

Status CompareRun::openData() {
  const TrainOptions &common = options.common;
  PEER_TRY_ASSIGN(texts, TrainTexts::read(common.data, common.evalData, options.out, options.resume));
  PEER_TRY_ASSIGN(split, texts.split(trainEntries.front().context, common.data, common.evalData));
  for (const TextSource *source : {texts.data.get(), texts.evalData.get()})
    if (source)
      PEER_TRY(checkTextRange(*source, byteRange(trainEntries.front()), options.models.front().model));
  comparison.disabledExperts = options.disabledExperts;
  comparison.unigramEntropy = unigramEntropy(split.train);
  return {};
}

/// What must be the same when a comparison goes on; seeds may be added.
std::string CompareRun::settingsJson() const {
  const TrainOptions &common = options.common;
  Json models = Json::array();
  for (size_t i = 0; i < options.models.size(); ++i)
    models.push_back({{"name", comparison.models[i].name}, {"fingerprint", fingerprints[i]}});
  std::map<std::string, double> rates = common.groupRates;
  if (common.learningRate)
    rates[""] = *common.learningRate;
  Json schedules = toString(common.schedule);
  if (!common.groupSchedules.empty()) {
    schedules = Json{{"", toString(common.schedule)}};
    for (const auto &[group, kind] : common.groupSchedules)
      schedules[group] = toString(kind);
  }
  Json settings{{"models", std::move(models)},
                {"--data", hashText(texts.data->bytes)},
                {"--eval-data", texts.evalData ? hashText(texts.evalData->bytes) : 0},
                {"--steps", options.steps.value_or(0)},
                {"--seconds", options.seconds.value_or(0)},
                {"--batch", common.batch},
                {"--seed", common.seed},
                {"--lr", rates},
                {"--schedule", schedules},
                {"--warmup", common.warmup},
                {"--eval-tokens", common.evalTokens},
                {"--disable-top-experts", options.disabledExperts}};
  return Json{{"comparison", std::move(settings)}}.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status CompareRun::checkSettings(const std::string &path) const {
  PEER_TRY_ASSIGN(std::string before, readFile(path));
  Json then = Json::parse(before, nullptr, /*allow_exceptions=*/false), now = Json::parse(settingsJson());
  if (!then.is_object() || !then.contains("comparison") || !then["comparison"].is_object())
    return Status::error(path, " is damaged: expected the settings of a comparison");
  for (const auto &[key, value] : now["comparison"].items()) {
    // Of a comparison from before there was a choice.
    Json was = then["comparison"].value(key, key == "--disable-top-experts" ? Json(0) : Json());
    if (was == value)
      continue;
    if (key == "models")
      return Status::error("cannot resume the comparison in ", options.out,
                           ": its models are others, or were described otherwise");
    if (key == "--data" || key == "--eval-data")
      return Status::error("cannot resume the comparison in ", options.out, ": the text of ", key,
                           " is not the one it began with");
    return Status::error("cannot resume the comparison in ", options.out, " with ", key, " ", value.dump(), ": it has ",
                         was.dump());
  }
  return {};
}

void CompareRun::describeSettings() {
  const TrainOptions &common = options.common;
  auto add = [&](const char *name, const auto &...value) { comparison.settings.emplace_back(name, concat(value...)); };
  add("data", common.data, " (", texts.data->summary(), ")");
  add("validation data", common.evalData.empty() ? "the last 5 % of the data" : common.evalData,
      common.evalTokens ? concat(", at most ", formatCount(static_cast<double>(common.evalTokens)), " tokens") : "");
  add("batch", common.batch, " sequences of ", trainEntries.front().context, " bytes");
  add("schedule", toString(common.schedule), " to the end of each run, ", common.warmup, " steps of warm-up");
  for (const auto &[group, kind] : common.groupSchedules)
    add("schedule of a group", group, ": ", toString(kind));
  add("seeds", common.seed, options.seeds > 1 ? concat(" to ", common.seed + options.seeds - 1) : "");
  add("order", options.oneByOne ? "one run after the other" : "all models of a seed by turns");
  add("device", common.device.empty() ? manifests.front()->device : common.device, ", ", omp_get_max_threads(),
      omp_get_max_threads() == 1 ? " thread" : " threads");
}

Status CompareRun::begin() {
  PEER_TRY(checkPlace());
  PEER_TRY(checkModels());
  PEER_TRY(openData());
  for (const ComparedModel &model : options.models)
    PEER_TRY(checkOutput("--out", options.out, {model.model, model.artifact}));
  std::string settings = (fs::path(options.out) / kCompareSettings).string();
  if (options.resume)
    PEER_TRY(checkSettings(settings));
  std::error_code error;
  fs::create_directories(options.out, error);
  if (error)
    return Status::error("cannot create the directory ", options.out, ": ", error.message());
  PEER_TRY_ASSIGN(lock, RunLock::acquire(options.out));
  if (!options.resume) {
    // The files first: where there are settings, there is a comparison to go on with.
    PEER_TRY(texts.files().write(options.out));
    PEER_TRY(writeFile(settings, settingsJson()));
  }
  describeSettings();
  progress.say(concat("reading ", options.common.data, ": ", texts.data->summary()));
  return {};
}

} // namespace peer::runtime
