#include "Replay.h"

#include "session/Session.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iomanip>
#include <optional>

namespace peer::gpucheck {

using namespace runtime;

namespace {
struct Worst {
  double error = 0, tolerance = 0;
  std::string message; // of the first that is not within its tolerance

  void add(double newError, double newTolerance, const std::string &where) {
    bool fails = !(newError <= newTolerance);
    if (fails && message.empty()) {
      message = concat(where, ": error ", newError, ", tolerance ", newTolerance);
      error = newError, tolerance = newTolerance;
    } else if (message.empty() && newError * std::max(tolerance, 1e-300) >= error * newTolerance) {
      error = newError, tolerance = newTolerance;
    }
  }
};

double valueAt(const Tensor &tensor, size_t i) {
  switch (tensor.dtype()) {
  case DType::F32:
    return tensor.as<float>()[i];
  case DType::F64:
    return tensor.as<double>()[i];
  case DType::BF16:
    return bf16ToFloat(tensor.as<uint16_t>()[i]);
  case DType::I32:
    return tensor.as<int32_t>()[i];
  default:
    return NAN;
  }
}

/// In units. Equal infinities and not-a-numbers are no error; anything else beside them is.
double errorOf(double actual, double expected, double unit) {
  if (actual == expected || (std::isnan(actual) && std::isnan(expected)))
    return 0;
  double error = std::abs(actual - expected) / unit;
  return std::isnan(error) ? INFINITY : error;
}

/// `units`, where there are any, are what each value's error is measured in, instead of 1 + |expected|.
void compare(const Tensor &actual, const Tensor &expected, const Tensor *units, double tolerance,
             const std::string &what, Worst &worst) {
  if (actual.shape() != expected.shape())
    return worst.add(
        INFINITY, tolerance,
        concat(what, " has shape ", shapeText(actual.shape()), ", expected ", shapeText(expected.shape())));
  double most = 0;
  size_t at = 0;
  for (size_t i = 0; i < static_cast<size_t>(actual.elements()); ++i) {
    double value = valueAt(expected, i);
    if (isInteger(actual.dtype()) && std::isnan(value))
      continue; // unspecified
    double unit = units ? valueAt(*units, i) : 1 + std::abs(value);
    if (double error = errorOf(valueAt(actual, i), value, unit); error > most)
      most = error, at = i;
  }
  std::string where = what;
  if (most > tolerance)
    where += concat(std::setprecision(9), " at element ", at, " is ", valueAt(actual, at), ", expected ",
                    valueAt(expected, at));
  worst.add(most, tolerance, where);
}

bool keepsState(const Entry &entry) {
  return std::ranges::any_of(entry.arguments, [](const Argument &argument) { return argument.updated; });
}

/// Entries that change nothing are called again: the second call records a graph, the third replays it, and all give the same bits.
Status callAgain(Session &session, const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars,
                 const TensorMap &first, Worst &worst) {
  for (int again = 0; again < 2; ++again) {
    PEER_TRY_ASSIGN(TensorMap results, session.call(entry, inputs, scalars));
    for (const auto &[name, tensor] : results) {
      const Tensor &before = first.find(name)->second;
      // Integers may be unspecified in part, and then are what was in memory.
      if (!isInteger(tensor.dtype()) && tensor.bytes() > 0 &&
          std::memcmp(tensor.data(), before.data(), tensor.bytes()) != 0)
        worst.add(INFINITY, 0, concat("result \"", name, "\" of the same call made again has other bits"));
    }
  }
  return {};
}

Status replay(const SafetensorsFile &file, const Json &text, const std::string &folder, const std::string &device,
              Worst &worst) {
  PEER_TRY_ASSIGN(std::unique_ptr<Session> session,
                  Session::open(folder + "/" + text["artifact"].get<std::string>(), device));
  if (text.contains("seed"))
    PEER_TRY(session->initParameters(text["seed"].get<uint64_t>()));
  for (size_t i = 0; i < text["calls"].size(); ++i) {
    const Json &call = text["calls"][i];
    PEER_TRY_ASSIGN(const Entry *entry, session->entry(call["entry"].get<std::string>()));
    TensorMap inputs;
    for (const auto &[name, tensor] : call["inputs"].items()) {
      PEER_TRY_ASSIGN(inputs[name], file.read(tensor.get<std::string>()));
    }
    ScalarMap scalars;
    for (const auto &[name, value] : call["scalars"].items())
      scalars[name] = value.get<double>();
    PEER_TRY_ASSIGN(TensorMap results, session->call(*entry, inputs, scalars));
    for (const Json &each : call["results"]) {
      std::string name = each["name"];
      PEER_TRY_ASSIGN(Tensor expected, file.read(each["tensor"].get<std::string>()));
      auto found = results.find(name);
      if (found == results.end())
        return Status::error("the entry has no result \"", name, "\"");
      // One tolerance for all values, or for each its own, of which the error is a part.
      std::optional<Tensor> own;
      if (each.contains("tolerances")) {
        PEER_TRY_ASSIGN(own, file.read(each["tolerances"].get<std::string>()));
        if (own->shape() != expected.shape())
          return Status::error("the tolerances of result \"", name, "\" have another shape than its values");
      }
      compare(found->second, expected, own ? &*own : nullptr, own ? 1 : each["tolerance"].get<double>(),
              concat("call ", i, ", result \"", name, "\""), worst);
    }
    if (device == "cuda" && !keepsState(*entry))
      PEER_TRY(callAgain(*session, *entry, inputs, scalars, results, worst));
  }
  return {};
}
} // namespace

Json replayCase(const std::string &path, const std::string &device) {
  std::filesystem::path file(path);
  Json result = {{"name", file.stem().string()}, {"status", "fail"}};
  Result<SafetensorsFile> opened = SafetensorsFile::open(path);
  if (!opened.ok()) {
    result["message"] = opened.message();
    return result;
  }
  Json text = Json::parse(opened->metadata().at("case"), nullptr, /*allow_exceptions=*/false);
  if (text.is_discarded()) {
    result["message"] = concat(path, ": its metadata is no case");
    return result;
  }
  Worst worst;
  Status status = replay(*opened, text, file.parent_path().string(), device, worst);
  result["error"] = worst.error;
  result["tolerance"] = worst.tolerance;
  if (!status.ok()) {
    result["message"] = status.message();
    result["fatal"] = true;
  } else if (!worst.message.empty()) {
    result["message"] = worst.message;
  } else {
    result["status"] = "pass";
  }
  return result;
}

} // namespace peer::gpucheck
