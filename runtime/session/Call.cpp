// Session::call: checks that every argument is what the compiled code expects, then the call itself.
#include "Session.h"

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

template <typename T>
Status checkRangeOf(const Entry &entry, const Argument &argument, const Tensor &tensor) {
  auto [low, high] = *argument.range;
  std::span<const T> values = tensor.as<T>();
  for (size_t i = 0; i < values.size(); ++i)
    if (std::cmp_less(values[i], low) || std::cmp_greater_equal(values[i], high))
      return Status::error("entry \"", entry.name, "\": input \"", argument.name, "\" holds ", +values[i],
                           " at position ", i, ", expected values in [", low, ", ", high, ")");
  return {};
}

Status checkRange(const Entry &entry, const Argument &argument, const Tensor &tensor) {
  switch (tensor.dtype()) {
  case DType::I64:
    return checkRangeOf<int64_t>(entry, argument, tensor);
  case DType::I32:
    return checkRangeOf<int32_t>(entry, argument, tensor);
  case DType::I16:
    return checkRangeOf<int16_t>(entry, argument, tensor);
  case DType::I8:
    return checkRangeOf<int8_t>(entry, argument, tensor);
  case DType::U64:
    return checkRangeOf<uint64_t>(entry, argument, tensor);
  case DType::U32:
    return checkRangeOf<uint32_t>(entry, argument, tensor);
  case DType::U16:
    return checkRangeOf<uint16_t>(entry, argument, tensor);
  case DType::U8:
  case DType::Bool:
    return checkRangeOf<uint8_t>(entry, argument, tensor);
  default:
    return {};
  }
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

/// A sequence has no token before its first, and a prefill of several ends within the context: it would overwrite what its
/// own tokens attend to.
Status checkPosition(const Entry &entry, int64_t tokens, const ScalarMap &scalars) {
  if (entry.kind != EntryKind::Prefill && entry.kind != EntryKind::Decode)
    return {};
  auto position = scalars.find(format::name::kPosition);
  if (position == scalars.end())
    return {};
  if (position->second < 0)
    return Status::error("entry \"", entry.name, "\": scalar \"position\" is ", position->second,
                         ", expected 0 or more");
  if (entry.most > 0 && tokens > 1 && position->second + static_cast<double>(tokens) > static_cast<double>(entry.most))
    return Status::error("entry \"", entry.name, "\": ", tokens, " tokens from position ", position->second,
                         " on end beyond the context of ", entry.most);
  return {};
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
    if (count != 0 && status.ok())
      status =
          Status::error("entry \"", entry.name, "\" of ", path, ": ", static_cast<int64_t>(count),
                        count == 1 ? " index of " : " indices of ", info.check->what, count == 1 ? " is" : " are",
                        " out of range, expected values in [", info.check->range[0], ", ", info.check->range[1], ")");
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
  int64_t tokens = -1;
  const std::string *source = nullptr;
  for (const Argument &argument : entry.arguments) {
    if (argument.role != Role::Input)
      continue;
    auto found = inputs.find(argument.name);
    if (found == inputs.end())
      return fail("the input \"", argument.name, "\" (", typeText(argument.dtype, argument.shape), ") is missing");
    const Tensor &tensor = found->second;
    bool fits = tensor.dtype() == argument.dtype && tensor.rank() == static_cast<int64_t>(argument.shape.size());
    for (size_t i = 0; fits && i < argument.shape.size(); ++i)
      fits = argument.shape[i] == kDynamic || argument.shape[i] == tensor.shape()[i];
    if (!fits)
      return fail("input \"", argument.name, "\" is ", typeText(tensor.dtype(), tensor.shape()), ", expected ",
                  typeText(argument.dtype, argument.shape));
    for (size_t i = 0; i < argument.shape.size(); ++i) {
      if (argument.shape[i] != kDynamic)
        continue;
      int64_t size = tensor.shape()[i];
      if (tokens >= 0 && size != tokens)
        return fail("T is ", tokens, " by input \"", *source, "\", but ", size, " by input \"", argument.name, "\"");
      tokens = size;
      source = &argument.name;
    }
    if (argument.range)
      PEER_TRY(checkRange(entry, argument, tensor));
  }
  if (tokens > 0 && tokens % entry.multipleOf != 0)
    return fail("T is ", tokens, " by input \"", *source, "\", expected a multiple of ", entry.multipleOf);
  // Kernels number rows in 32 bits.
  if (int64_t most = entry.most > 0 ? entry.most : INT32_MAX; tokens > most)
    return fail("T is ", tokens, " by input \"", *source, "\", expected at most ", most);
  return std::max<int64_t>(tokens, 0);
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
  PEER_TRY(checkPosition(entry, tokens, scalars));
  std::vector<ScalarValue> values(entry.arguments.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (entry.arguments[i].role == Role::Scalar) {
      PEER_TRY_ASSIGN(values[i], scalarValue(entry, entry.arguments[i], scalars));
    }
  for (const Argument &argument : entry.arguments)
    if (argument.role == Role::Parameter && !side->host(Role::Parameter).contains(argument.name))
      return Status::error("entry \"", entry.name, "\" of ", path(),
                           " needs parameters, and none were loaded or initialised");
  if (parametersOnly)
    return Status::error("entry \"", entry.name, "\" of ", path(),
                         ": the artifact was opened for its parameters alone");
  PEER_TRY(std::exchange(deviceFailure, Status()));
  PEER_TRY(prepare(entry));
  Result<TensorMap> results = side->call(entry, tokens, inputs, values);
  if (results.ok())
    PEER_TRY(takeChecks(entry, path(), *results));
  return results;
}

} // namespace peer::runtime
