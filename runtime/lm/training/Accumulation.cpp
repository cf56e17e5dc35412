// Summing gradients over micro-batches.

#include "Accumulation.h"

#include "artifact/format.h"
#include "core/Memory.h"
#include "device/CallFrame.h"
#include "lm/DataEntry.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace peer::runtime {
namespace {

uint64_t bytesOf(DType dtype, const Shape &shape) { return static_cast<uint64_t>(*byteCount(dtype, shape)); }

uint64_t stateBytes(const Entry &entry) {
  uint64_t bytes = 0;
  for (const Argument &argument : entry.arguments)
    if (argument.role == Role::State)
      bytes += bytesOf(argument.dtype, argument.shape);
  return bytes;
}

} // namespace

Result<Accumulation> Accumulation::find(const Session &session, const Entry &train, int64_t count) {
  const Manifest &manifest = session.manifest();
  Accumulation made;
  made.count = count;
  made.update = manifest.findEntry(EntryKind::Update);
  if (!made.update || !manifest.findEntry(EntryKind::Accumulate))
    return Status::error(session.path(),
                         " was compiled without the parts of a training step, which --accumulate calls: ",
                         "compile its description with 'peer-opt --accumulate', or give the description (MODEL.mlir)");
  PEER_TRY_ASSIGN(LanguageEntry part, findLanguageEntry(manifest, EntryKind::Accumulate, session.path()));
  made.accumulate = part.entry;
  auto fail = [&](const Entry &entry, const auto &...what) {
    return Status::error("the entry \"", entry.name, "\" of ", session.path(), what...);
  };
  if (part.context != train.multipleOf)
    return fail(*part.entry, " takes multiples of ", part.context, " tokens, expected ", train.multipleOf, " as \"",
                train.name, "\" has");
  for (const Argument &argument : made.update->arguments) {
    const ResultInfo *result = part.entry->findResult(argument.name);
    if (argument.role == Role::Input &&
        (!result || result->dtype != argument.dtype || result->shape != argument.shape || argument.shape.empty() ||
         argument.shape[0] != kDynamic))
      return fail(*made.update, " takes \"", argument.name, "\", ", typeText(argument.dtype, argument.shape),
                  ", which \"", part.entry->name, "\" does not return");
  }
  return made;
}

Status Accumulation::checkRoom(const Session &session, const Entry &train, int64_t tokens) const {
  uint64_t pairs = 0, kept = 0, sums = stateBytes(*accumulate), models = stateBytes(train);
  for (const Argument &argument : update->arguments) {
    if (argument.role != Role::Input)
      continue;
    Result<int64_t> bytes = byteCount(argument.dtype, withTokens(argument.shape, tokens * count));
    if (!bytes.ok())
      return Status::error("a step of ", count, " micro-batches of ", tokens,
                           " tokens is too large: ", bytes.message());
    kept += static_cast<uint64_t>(*bytes);
    if (isInteger(argument.dtype))
      pairs = std::max(pairs, static_cast<uint64_t>(*bytes) / dtypeSize(argument.dtype));
  }
  if (pairs > std::numeric_limits<int32_t>::max())
    return Status::error("a step of ", count, " micro-batches of ", tokens, " tokens selects ", pairs,
                         " experts, expected at most ", std::numeric_limits<int32_t>::max(),
                         ": take a smaller --accumulate");
  for (const Parameter &parameter : session.manifest().parameters)
    models += bytesOf(parameter.dtype, parameter.shape);
  // Parameters, states and sums are a device's own; rows go through the host.
  bool apart = !session.device().place().empty();
  uint64_t needed = apart ? kept : models + sums + kept, available = availableMemory();
  if (needed <= available)
    return {};
  return Status::error(session.path(), " needs ", bytesText(needed), " for ",
                       apart ? "" : "parameters, optimizer state and ", "gradients of ", count, " micro-batches (",
                       bytesText(sums), " of sums, ", bytesText(kept), " of rows), ", bytesText(available),
                       " available");
}

Status Accumulation::prepare(Session &session, int64_t tokens) {
  PEER_TRY(session.prepare(*accumulate));
  PEER_TRY(session.prepare(*update));
  for (const Argument &argument : update->arguments) {
    if (argument.role != Role::Input)
      continue;
    PEER_TRY_ASSIGN(rows[argument.name], Tensor::zeros(argument.dtype, withTokens(argument.shape, tokens * count),
                                                       concat("the gradient \"", argument.name, "\"")));
  }
  return {};
}

/// Puts the row-sparse gradients of a micro-batch behind those before.
Status Accumulation::keepRows(const TensorMap &results, int64_t number) {
  for (auto &[name, all] : rows) {
    const Tensor &part = results.find(name)->second;
    uint64_t bytes = part.bytes();
    if (bytes * static_cast<uint64_t>(count) != all.bytes())
      return Status::error("micro-batch ", number + 1, " has ", typeText(part.dtype(), part.shape()), " of \"", name,
                           "\", expected the same as the others");
    if (bytes > 0)
      std::memcpy(static_cast<char *>(all.data()) + static_cast<uint64_t>(number) * bytes, part.data(), bytes);
  }
  return {};
}

Result<TensorMap> Accumulation::step(Session &session, TensorMap &inputs, const ScalarMap &scalars,
                                     const std::function<void(int64_t, ScalarMap &)> &fill) {
  ScalarMap share = session.defaultScalars(*accumulate);
  share[format::name::kGradientWeight] = 1.0 / static_cast<double>(count);
  double sum = 0.0;
  for (int64_t number = 0; number < count; ++number) {
    fill(number, share);
    share[format::name::kFirstPart] = number == 0;
    PEER_TRY_ASSIGN(TensorMap results, session.call(*accumulate, inputs, share));
    sum += static_cast<double>(results.at(format::name::kLoss).as<float>()[0]);
    PEER_TRY(keepRows(results, number));
  }
  auto mean = static_cast<float>(sum / static_cast<double>(count));
  ScalarMap given = session.defaultScalars(*update);
  for (auto &[name, value] : given)
    if (auto found = scalars.find(name); found != scalars.end())
      value = found->second;
  given[format::name::kLoss] = mean;
  PEER_TRY_ASSIGN(TensorMap results, session.call(*update, rows, given));
  PEER_TRY_ASSIGN(Tensor loss, Tensor::zeros(DType::F32, {}, "the loss"));
  loss.as<float>()[0] = mean;
  results.insert_or_assign(format::name::kLoss, std::move(loss));
  return results;
}

bool Accumulation::hasBatchNorms(const Manifest &manifest) const {
  return std::any_of(update->arguments.begin(), update->arguments.end(), [&](const Argument &argument) {
    const Parameter *parameter = argument.role == Role::Parameter ? manifest.findParameter(argument.name) : nullptr;
    return parameter && argument.updated && !parameter->trainable;
  });
}

} // namespace peer::runtime
