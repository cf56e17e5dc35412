#include "Bench.h"

#include "../Commands.h"

#include "core/File.h"
#include "lm/Eval.h"
#include "lm/training/TrainInterrupt.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace peer::runtime {

namespace fs = std::filesystem;

namespace {
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

Status checkInterrupt() { return TrainInterrupt::received() ? Status::error("interrupted") : Status(); }

} // namespace

Status ConvertBench::readData() {
  PEER_TRY_ASSIGN(text, readText(options.data));
  return {};
}

Status ConvertBench::compilePasses(const std::string &from, const std::string &passes, const std::string &to) {
  std::vector<std::string> command{from};
  if (!options.plugin.empty())
    command.push_back("--load-pass-plugin=" + options.plugin);
  // What is wrong is said with its place; the op's dump would follow it.
  command.push_back("--mlir-print-op-on-diagnostic=false");
  command.insert(command.end(), {"--pass-pipeline=builtin.module(" + passes + ")", "-o", to});
  return callCompiler(from, command);
}

Status ConvertBench::rewrite(const std::string &description, const std::string &plan, const Settings &instead,
                             const std::string &then) {
  // Quoted, since names of directories may hold spaces.
  std::string text = concat("plan=\"", plan, "\""), layers;
  for (const auto &[name, value] : options.settings)
    if (!findConversionOption(name).forWeights && !instead.contains(name))
      text += concat(" ", name, "=", value);
  for (const auto &[name, value] : instead)
    text += concat(" ", name, "=", value);
  for (const std::string &layer : options.layers)
    layers += (layers.empty() ? "" : ",") + layer;
  if (!layers.empty())
    text += concat(" layers=", layers);
  for (const std::string &setting : options.pluginSettings)
    text += " " + setting;
  PEER_TRY(compilePasses(
      source.file, concat("peer-verify-level{level=model},", known ? "peer-" : "", options.pass, "{", text, "}", then),
      description));
  if (std::error_code ignored; !fs::exists(plan, ignored))
    return Status::error("the pass ", options.pass, " wrote no plan of the weights: it is no conversion");
  return {};
}

Result<Measurement> ConvertBench::measure(Session &session, const std::string &model, int64_t tokens) {
  PEER_TRY_ASSIGN(LanguageEntry entry, findLanguageEntry(session.manifest(), EntryKind::Loss, model));
  PEER_TRY(checkTextLength(text.bytes, entry.context, options.data));
  PEER_TRY(checkTextRange(text, byteRange(entry), model));
  EvalOptions how;
  how.batch = options.batch;
  how.onProgress = [](int64_t, int64_t) { return TrainInterrupt::received() == 0; };
  how.maxContexts = tokens ? std::max<int64_t>(tokens / entry.context, 1) : 0;
  PEER_TRY_ASSIGN(EvalRecord record, evaluateText(session, entry, text.bytes, how));
  PEER_TRY(checkInterrupt());
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

Result<std::unique_ptr<Session>> ConvertBench::open(const std::string &description, const TensorMap &parameters) {
  PEER_TRY_ASSIGN(ModelHandle model, findModel(description, device));
  PEER_TRY_ASSIGN(auto session, Session::open(model, device));
  PEER_TRY(setParameters(*session, parameters));
  return session;
}

Result<Measurement> ConvertBench::measureWith(const Settings &instead, const TensorMap &before, const Decide &decide,
                                              int64_t tokens) {
  std::string description = out.file("curve.mlir"), plan = out.file("curve.json");
  PEER_TRY(rewrite(description, plan, instead, kLossAlone));
  PEER_TRY_ASSIGN(std::string planText, readFile(plan));
  PEER_TRY_ASSIGN(std::string text, readFile(description));
  PEER_TRY_ASSIGN(Decisions decisions, decide(planText));
  if (text != lastText || !lastSession) {
    lastSession.reset();
    PEER_TRY_ASSIGN(ModelHandle model, findModel(description, device));
    PEER_TRY_ASSIGN(lastSession, Session::open(model, device));
    lastText = text;
  }
  PEER_TRY_ASSIGN(TensorMap parameters,
                  applyPlan(planText, plan, lastSession->manifest(), before, options.seed, decisions));
  PEER_TRY(setParameters(*lastSession, parameters));
  PEER_TRY_ASSIGN(Measurement measured, measure(*lastSession, description, tokens));
  std::error_code ignored;
  fs::remove(description, ignored);
  fs::remove(plan, ignored);
  return measured;
}

Status ConvertBench::calibrate(const std::string &passes, const TensorMap &parameters, const See &see) {
  std::string description = out.file("calibrate.mlir");
  PEER_TRY(compilePasses(source.file, "peer-verify-level{level=model}," + passes, description));
  PEER_TRY_ASSIGN(auto session, open(description, parameters));
  PEER_TRY_ASSIGN(const Entry *entry, session->entry("calibrate"));
  LanguageEntry language{entry, entry->multipleOf};
  int64_t there = countContexts(text.bytes, language.context);
  int64_t total = std::clamp<int64_t>(options.calibrationTokens / language.context, 1, there);
  for (int64_t done = 0; done < total; ++done) {
    PEER_TRY(checkInterrupt());
    PEER_TRY_ASSIGN(TensorMap inputs, makeLanguageInputs(language, 1));
    copyContext(text.bytes, language.context, done * there / total, inputs.at("tokens").as<int32_t>().data(),
                inputs.at("targets").as<int32_t>().data());
    PEER_TRY_ASSIGN(TensorMap seen, session->call(*entry, inputs, session->defaultScalars(*entry)));
    PEER_TRY(see(seen, done, total));
  }
  std::error_code ignored;
  fs::remove(description, ignored);
  return {};
}

size_t ConvertBench::choiceOf(const std::string &option) const {
  auto given = options.settings.find(option);
  const auto &values = findConversionOption(option).values;
  return given == options.settings.end()
             ? 0
             : static_cast<size_t>(std::ranges::find(values, given->second) - values.begin());
}

std::string ConvertBench::setting(const std::string &option, const std::string &otherwise) const {
  auto given = options.settings.find(option);
  return given == options.settings.end() ? otherwise : given->second;
}

} // namespace peer::runtime
