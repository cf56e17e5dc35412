#include "Session.h"

#include "Blas.h"
#include "Random.h"

namespace peer::runtime {

Result<std::unique_ptr<Session>> Session::open(const std::string &path) {
  PEER_TRY_ASSIGN(std::shared_ptr<Artifact> artifact, Artifact::open(path));
  PEER_TRY(loadBlas());
  return std::make_unique<Session>(std::move(artifact));
}

namespace {
/// Bytes of the parameters that are not allocated yet.
uint64_t missingBytes(const Manifest &manifest, const TensorMap &tensors) {
  uint64_t bytes = 0;
  for (const Parameter &parameter : manifest.parameters)
    if (!tensors.contains(parameter.name))
      bytes += static_cast<uint64_t>(*byteCount(parameter.dtype, parameter.shape));
  return bytes;
}
} // namespace

Status Session::allocateParameters() {
  uint64_t bytes = missingBytes(manifest(), parameterTensors), available = availableMemory();
  if (bytes > available)
    return Status::error(path(), " needs ", bytesText(bytes), " for parameters, ", bytesText(available), " available");
  for (const Parameter &parameter : manifest().parameters) {
    if (parameterTensors.contains(parameter.name))
      continue;
    PEER_TRY_ASSIGN(Tensor tensor,
                    Tensor::zeros(parameter.dtype, parameter.shape, concat("parameter \"", parameter.name, "\"")));
    parameterTensors.emplace(parameter.name, std::move(tensor));
  }
  return {};
}

Status Session::initParameters(uint64_t seed) {
  PEER_TRY(allocateParameters());
  for (const Parameter &parameter : manifest().parameters) {
    Status status =
        fillRandom(parameterTensors.find(parameter.name)->second, parameter.init, RandomStream(seed, parameter.name));
    if (!status.ok())
      return Status::error(path(), ": parameter \"", parameter.name, "\": ", status.message());
  }
  return {};
}

Status Session::loadParameters(const SafetensorsFile &file, std::string_view ignorePrefix) {
  // All names and types before the first byte of data: a wrong file leaves the session as it was.
  for (const Parameter &parameter : manifest().parameters) {
    auto found = file.tensors().find(parameter.name);
    if (found == file.tensors().end())
      return Status::error(file.path(), " lacks the parameter \"", parameter.name, "\" (",
                           typeText(parameter.dtype, parameter.shape), ") of ", path());
    const TensorInfo &info = found->second;
    if (info.dtype != parameter.dtype || info.shape != parameter.shape)
      return Status::error(file.path(), ": tensor \"", parameter.name, "\" is ", typeText(info.dtype, info.shape),
                           ", and ", path(), " expects ", typeText(parameter.dtype, parameter.shape));
  }
  for (const auto &[name, info] : file.tensors())
    if (!manifest().findParameter(name) && (ignorePrefix.empty() || !name.starts_with(ignorePrefix)))
      return Status::error(file.path(), " holds the tensor \"", name, "\", which is no parameter of ", path());
  PEER_TRY(allocateParameters());
  for (auto &[name, tensor] : parameterTensors)
    PEER_TRY(file.readInto(name, tensor));
  return {};
}

Status Session::loadParameters(const std::string &file) {
  PEER_TRY_ASSIGN(SafetensorsFile opened, SafetensorsFile::open(file));
  return loadParameters(opened);
}

Status Session::saveParameters(const std::string &file, const Metadata &metadata) const {
  return writeSafetensors(file, parameterTensors, metadata);
}

Status Session::prepare(const Entry &entry) {
  uint64_t kept = 0;
  bool optimizer = entry.kind == EntryKind::Train;
  auto mapOf = [&](const Argument &argument) -> TensorMap * {
    return argument.role == Role::State ? &stateTensors : argument.role == Role::Usage ? &usageTensors : nullptr;
  };
  for (const Argument &argument : entry.arguments)
    if (TensorMap *map = mapOf(argument); map && !map->contains(argument.name))
      kept += static_cast<uint64_t>(*byteCount(argument.dtype, argument.shape));
  if (kept == 0)
    return {};
  uint64_t parameters = missingBytes(manifest(), parameterTensors), available = availableMemory();
  if (kept + parameters > available)
    return Status::error(path(), " needs ", bytesText(kept + parameters), " for ", parameters ? "parameters and " : "",
                         optimizer ? "optimizer state" : "state", ", ", bytesText(available), " available");
  for (const Argument &argument : entry.arguments) {
    TensorMap *map = mapOf(argument);
    if (!map || map->contains(argument.name))
      continue;
    PEER_TRY_ASSIGN(Tensor tensor, Tensor::zeros(argument.dtype, argument.shape,
                                                 concat(roleName(argument.role), " \"", argument.name, "\"")));
    map->emplace(argument.name, std::move(tensor));
  }
  return {};
}

void Session::clearStates() {
  for (auto &[name, tensor] : stateTensors)
    tensor.clear();
}

void Session::clearUsage() {
  for (auto &[name, tensor] : usageTensors)
    tensor.clear();
}

ScalarMap Session::defaultScalars(const Entry &entry) const {
  constexpr std::string_view rate = "learning_rate.";
  ScalarMap scalars;
  for (const Argument &argument : entry.arguments) {
    if (argument.role != Role::Scalar)
      continue;
    double value = argument.name == "step" ? 1 : 0;
    if (argument.name.starts_with(rate))
      if (const Group *group = manifest().findGroup(std::string_view(argument.name).substr(rate.size())))
        value = group->learningRate;
    scalars[argument.name] = value;
  }
  return scalars;
}

} // namespace peer::runtime
