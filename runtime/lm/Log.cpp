// The log of a run.

#include "Log.h"

#include "core/File.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <numbers>
#include <unistd.h>

namespace peer::runtime {
namespace {

using Json = nlohmann::ordered_json;

Json toJson(const StepRecord &record) {
  return {{"step", record.step},
          {"loss", record.loss},
          {"tokens_per_s", record.tokensPerSecond},
          {"lr", record.learningRates},
          {"gradient_norm", record.gradientNorms}};
}

/// What eval prints; the log adds the step and calls the loss by another name, since a step has a loss of its own.
Json toJson(const EvalRecord &record) {
  Json layers = Json::array();
  for (const LayerUsage &layer : record.layers)
    layers.push_back({{"name", layer.name},
                      {"experts", layer.experts},
                      {"usage", layer.metrics.usage},
                      {"unevenness", layer.metrics.unevenness}});
  return {{"loss", record.loss},
          {"perplexity", record.perplexity()},
          {"bits_per_byte", record.bitsPerByte()},
          {"tokens", record.tokens},
          {"layers", layers}};
}

/// The step of a line that is a whole record; nothing for any other line.
std::optional<int64_t> stepOf(const Json &line) {
  auto found = line.is_object() ? line.find("step") : line.end();
  if (!line.is_object() || found == line.end() || !found->is_number_integer())
    return std::nullopt;
  return found->get<int64_t>();
}

/// Calls `visit(json, end)` for each line that ends in a newline, `end` being the offset after it, until it returns false.
template <typename Visit>
void forEachLine(const std::string &text, Visit visit) {
  size_t begin = 0;
  for (size_t newline; (newline = text.find('\n', begin)) != std::string::npos; begin = newline + 1)
    if (!visit(Json::parse(text.begin() + begin, text.begin() + newline, nullptr, /*allow_exceptions=*/false),
               newline + 1))
      return;
}

std::map<std::string, double> numbers(const Json &line, const char *key) {
  std::map<std::string, double> values;
  if (auto found = line.find(key); found != line.end() && found->is_object())
    for (auto &[name, value] : found->items())
      if (value.is_number())
        values[name] = value.get<double>();
  return values;
}

double number(const Json &line, const char *key) {
  auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : NAN;
}

EvalRecord readEvaluation(const Json &line, int64_t step) {
  EvalRecord record{step, number(line, "eval_loss"), 0, {}};
  if (double tokens = number(line, "tokens"); tokens >= 0 && tokens < 9e15)
    record.tokens = static_cast<int64_t>(tokens);
  if (auto layers = line.find("layers"); layers != line.end() && layers->is_array())
    for (const Json &layer : *layers)
      if (double experts = layer.is_object() ? number(layer, "experts") : NAN;
          experts >= 0 && experts < 9e15 && layer.contains("name") && layer["name"].is_string())
        record.layers.push_back(
            {layer["name"], static_cast<int64_t>(experts), {number(layer, "usage"), number(layer, "unevenness")}});
  return record;
}

} // namespace

double EvalRecord::perplexity() const { return std::exp(loss); }
double EvalRecord::bitsPerByte() const { return loss / std::numbers::ln2; }

std::string evalJson(const EvalRecord &record, int64_t disabledTopExperts) {
  Json json = toJson(record);
  if (disabledTopExperts > 0)
    json["disabled_top_experts"] = disabledTopExperts;
  return json.dump();
}

Result<RunLog> RunLog::create(const std::string &path, const std::string &settingsJson) {
  int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return Status::error("cannot write ", path, ": ", std::strerror(errno));
  RunLog log(path, descriptor);
  PEER_TRY(log.appendLine("{\"run\":" + settingsJson + "}"));
  return log;
}

Result<RunLog> RunLog::resume(const std::string &path, int64_t step) {
  PEER_TRY_ASSIGN(std::string text, readFile(path));
  size_t keep = 0;
  forEachLine(text, [&](const Json &line, size_t end) {
    bool header = line.is_object() && line.contains("run");
    std::optional<int64_t> at = stepOf(line);
    if (!header && (!at || *at > step))
      return false;
    keep = end;
    return true;
  });
  int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0)
    return Status::error("cannot write ", path, ": ", std::strerror(errno));
  RunLog log(path, descriptor);
  if (::ftruncate(descriptor, static_cast<off_t>(keep)) != 0)
    return Status::error("cannot shorten ", path, " to step ", step, ": ", std::strerror(errno));
  return log;
}

RunLog::RunLog(RunLog &&other) noexcept
    : path(std::move(other.path)), descriptor(std::exchange(other.descriptor, -1)) {}

RunLog &RunLog::operator=(RunLog &&other) noexcept {
  std::swap(path, other.path);
  std::swap(descriptor, other.descriptor);
  return *this;
}

RunLog::~RunLog() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Status RunLog::append(const StepRecord &record) { return appendLine(toJson(record).dump()); }
Status RunLog::append(const EvalRecord &record) {
  Json line = Json::object(), evaluation = toJson(record);
  line["step"] = record.step;
  for (const auto &[key, value] : evaluation.items())
    line[key == "loss" ? "eval_loss" : key] = value;
  return appendLine(line.dump());
}

Status RunLog::appendLine(std::string line) {
  line += '\n';
  size_t done = 0;
  while (done < line.size()) {
    ssize_t wrote = ::write(descriptor, line.data() + done, line.size() - done);
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote < 0)
      return Status::error("cannot write ", path, ": ", std::strerror(errno));
    done += static_cast<size_t>(wrote);
  }
  return {};
}

Result<RunHistory> readLog(const std::string &path) {
  PEER_TRY_ASSIGN(std::string text, readFile(path));
  RunHistory history;
  forEachLine(text, [&](const Json &line, size_t) {
    std::optional<int64_t> step = stepOf(line);
    if (step && line.contains("eval_loss"))
      history.evaluations.push_back(readEvaluation(line, *step));
    else if (step)
      history.steps.push_back({*step, number(line, "loss"), number(line, "tokens_per_s"), numbers(line, "lr"),
                               numbers(line, "gradient_norm")});
    return true;
  });
  return history;
}

} // namespace peer::runtime
