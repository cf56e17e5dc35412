// Session::call: checks that every argument is what the compiled code expects, then the call itself.
#include "Session.h"

#include "ArgumentChecks.h"
#include "artifact/format.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace peer::runtime {

namespace {
std::string inputNames(const Entry &entry) {
  std::string names;
  for (const Argument &argument : entry.arguments)
    if (argument.role == Role::Input)
      names += (names.empty() ? "" : ", ") + argument.name;
  return names.empty() ? "none" : names;
}

Result<ScalarValue> scalarValue(const Entry &entry, const Argument &argument, const ScalarMap &scalars) {
  auto found = scalars.find(argument.name);
  if (found == scalars.end())
    return Status::error("entry \"", entry.name, "\" takes the scalar \"", argument.name, "\", which was not given");
  double value = found->second;
  ScalarValue result{};
  if (isInteger(argument.dtype)) {
    // 2^63 itself is no int64, though the nearest double to the largest one.
    double limit = argument.dtype == DType::I32 ? 0x1p31 : 0x1p63;
    if (!(std::trunc(value) == value && value >= -limit && value < limit))
      return Status::error("entry \"", entry.name, "\": scalar \"", argument.name, "\" is ", value, ", expected an ",
                           dtypeName(argument.dtype));
    if (argument.range &&
        (value < static_cast<double>((*argument.range)[0]) || value >= static_cast<double>((*argument.range)[1])))
      return Status::error("entry \"", entry.name, "\": scalar \"", argument.name, "\" is ", value,
                           ", expected a value in [", (*argument.range)[0], ", ", (*argument.range)[1], ")");
  }
  switch (argument.dtype) {
  case DType::F64:
    result.f64 = value;
    break;
  case DType::I32:
    result.i32 = static_cast<int32_t>(value);
    break;
  case DType::I64:
    result.i64 = static_cast<int64_t>(value);
    break;
  default:
    result.f32 = static_cast<float>(value);
    break;
  }
  return result;
}

/// Removes the results by which compiled code says that it met indices which it could not use.
Status takeChecks(const Entry &entry, const std::string &path, TensorMap &results) {
  Status status;
  for (const ResultInfo &info : entry.results) {
    auto found = info.check ? results.find(info.name) : results.end();
    if (found == results.end())
      continue;
    float count = found->second.as<float>()[0];
    results.erase(found);
    if (status.ok())
      status = checkIndices(entry, path, info, count);
  }
  return status;
}
} // namespace

Result<int64_t> Session::checkInputs(const Entry &entry, const TensorMap &inputs) const {
  auto fail = [&](const auto &...what) { return Status::error("entry \"", entry.name, "\": ", what...); };
  for (const auto &[name, tensor] : inputs) {
    const Argument *argument = entry.findArgument(name);
    if (!argument || argument->role != Role::Input)
      return fail("it has no input \"", name, "\" (its inputs: ", inputNames(entry), ")");
  }
  TokenCount tokens(entry);
  for (const Argument &argument : entry.arguments) {
    if (argument.role != Role::Input)
      continue;
    auto found = inputs.find(argument.name);
    if (found == inputs.end())
      return fail("the input \"", argument.name, "\" (", typeText(argument.dtype, argument.shape), ") is missing");
    const Tensor &tensor = found->second;
    if (tensor.dtype() != argument.dtype || !TokenCount::fits(argument.shape, tensor.shape()))
      return fail("input \"", argument.name, "\" is ", typeText(tensor.dtype(), tensor.shape()), ", expected ",
                  typeText(argument.dtype, argument.shape));
    PEER_TRY(tokens.add(argument, tensor.shape()));
    PEER_TRY(checkRange(entry, argument, tensor.data(), static_cast<size_t>(tensor.elements())));
  }
  return tokens.get();
}

Status Session::makeReady(const Entry &entry) {
  PEER_TRY(std::exchange(deviceFailure, Status()));
  if (side->isReady(entry))
    return {};
  TensorMap &parameters = side->host(Role::Parameter);
  for (const Argument &argument : entry.arguments)
    if (argument.role == Role::Parameter && !parameters.contains(argument.name))
      return Status::error("entry \"", entry.name, "\" of ", path(), " needs ",
                           parameters.empty() ? std::string("parameters, and none were loaded or initialised")
                                              : concat("the parameter \"", argument.name,
                                                       "\", which was neither bound nor loaded or initialised"));
  if (parametersOnly)
    return Status::error("entry \"", entry.name, "\" of ", path(),
                         ": the artifact was opened for its parameters alone");
  return prepare(entry);
}

Result<TensorMap> Session::callTimed(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                                     std::span<const ScalarValue> values) {
  ProfileRecording recording;
  int64_t start = nowNanoseconds();
  Result<TensorMap> results = side->call(entry, tokens, inputs, values);
  if (results.ok())
    onCall({entry, tokens, recording.marks, start, nowNanoseconds()});
  return results;
}

Result<TensorMap> Session::call(std::string_view name, const TensorMap &inputs, const ScalarMap &scalars) {
  PEER_TRY_ASSIGN(const Entry *found, entry(name));
  return call(*found, inputs, scalars);
}

Result<TensorMap> Session::call(const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars) {
  PEER_TRY_ASSIGN(int64_t tokens, checkInputs(entry, inputs));
  for (const auto &[name, value] : scalars)
    if (const Argument *argument = entry.findArgument(name); !argument || argument->role != Role::Scalar)
      return Status::error("entry \"", entry.name, "\": it has no scalar \"", name, "\"");
  if (auto position = scalars.find(format::name::kPosition); position != scalars.end())
    PEER_TRY(checkPosition(entry, tokens, position->second));
  std::vector<ScalarValue> values(entry.arguments.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (entry.arguments[i].role == Role::Scalar) {
      PEER_TRY_ASSIGN(values[i], scalarValue(entry, entry.arguments[i], scalars));
    }
  PEER_TRY(makeReady(entry));
  Result<TensorMap> results =
      onCall ? callTimed(entry, tokens, inputs, values) : side->call(entry, tokens, inputs, values);
  if (results.ok())
    PEER_TRY(takeChecks(entry, path(), *results));
  return results;
}

} // namespace peer::runtime
