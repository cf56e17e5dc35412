#include "Session.h"

#include "artifact/format.h"
#include "core/Memory.h"
#include "core/Threads.h"
#include "device/Devices.h"
#include "device/cpu/CpuDevice.h"
#include "model/Random.h"
#include "model/WeightNames.h"

#include <algorithm>

namespace peer::runtime {

Result<std::unique_ptr<Session>> Session::openParameters(const ModelFile &model) {
  PEER_TRY_ASSIGN(std::shared_ptr<Artifact> artifact, Artifact::openManifest(model));
  PEER_TRY(checkThreads());
  std::unique_ptr<Session> session(new Session(std::move(artifact), hostDevice()));
  session->parametersOnly = true;
  return session;
}

Result<std::unique_ptr<Session>> Session::open(const ModelFile &model, const std::string &wanted) {
  PEER_TRY_ASSIGN(std::shared_ptr<Artifact> artifact, Artifact::openManifest(model));
  PEER_TRY_ASSIGN(const DeviceKind *kind, chooseDevice(artifact->manifest(), wanted, model.name));
  PEER_TRY(artifact->load());
  PEER_TRY(checkThreads());
  PEER_TRY_ASSIGN(std::shared_ptr<Device> device, openDevice(*kind, artifact->manifest(), model.name));
  return std::unique_ptr<Session>(new Session(std::move(artifact), std::move(device)));
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

const TensorMap &Session::hostTensors(Role role) const {
  if (Status status = side->download(role); !status.ok() && deviceFailure.ok())
    deviceFailure = std::move(status);
  return side->host(role);
}

TensorMap &Session::hostTensors(Role role) {
  std::as_const(*this).hostTensors(role);
  side->hostMayChange(role);
  return side->host(role);
}

Status Session::download() const {
  PEER_TRY(std::exchange(deviceFailure, Status()));
  for (Role role : {Role::Parameter, Role::State, Role::Usage})
    PEER_TRY(side->download(role));
  return {};
}

Status Session::checkRoom(uint64_t bytes, std::string_view what) const {
  PEER_TRY_ASSIGN(DeviceMemory memory, where->memory());
  if (bytes <= memory.free)
    return {};
  return Status::error(path(), " needs ", bytesText(bytes), " for ", what, where->place(), ", ", bytesText(memory.free),
                       " available");
}

Status Session::allocateParameters() {
  TensorMap &parameterTensors = side->host(Role::Parameter);
  uint64_t bytes = missingBytes(manifest(), parameterTensors), available = availableMemory();
  if (bytes > available)
    return Status::error(path(), " needs ", bytesText(bytes), " for parameters, ", bytesText(available), " available");
  PEER_TRY(checkRoom(bytes, "parameters"));
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
    Status status = fillRandom(hostTensors(Role::Parameter).find(parameter.name)->second, parameter.init,
                               RandomStream(seed, parameter.name));
    if (!status.ok())
      return Status::error(path(), ": parameter \"", parameter.name, "\": ", status.message());
  }
  return side->flush(Role::Parameter);
}

static std::string notePrefix(const SafetensorsFile &file, const std::string &prefix) {
  return concat("the names of the tensors in ", file.path(), " begin with \"", prefix, "\", which is left out");
}

Status Session::loadParameters(const SafetensorsFile &file, std::string_view ignorePrefix, std::string *note) {
  // All names and types before the first byte of data: a wrong file leaves the session as it was.
  PEER_TRY_ASSIGN(std::string prefix, matchWeights(manifest(), file, ignorePrefix, path()));
  if (note && !prefix.empty())
    *note = notePrefix(file, prefix);
  PEER_TRY(allocateParameters());
  for (auto &[name, tensor] : hostTensors(Role::Parameter))
    PEER_TRY(file.readInto(prefix + name, tensor));
  return side->flush(Role::Parameter);
}

Result<size_t> Session::replaceParameters(const SafetensorsFile &file, std::string_view ignorePrefix,
                                          std::string *note) {
  PEER_TRY_ASSIGN(std::string prefix, matchWeights(manifest(), file, ignorePrefix, path(), WeightsAre::Some));
  if (note && !prefix.empty())
    *note = notePrefix(file, prefix);
  size_t replaced = 0;
  for (auto &[name, tensor] : hostTensors(Role::Parameter))
    if (file.contains(prefix + name)) {
      PEER_TRY(file.readInto(prefix + name, tensor));
      ++replaced;
    }
  PEER_TRY(side->flush(Role::Parameter));
  return replaced;
}

Status Session::loadParameters(const std::string &file) {
  PEER_TRY_ASSIGN(SafetensorsFile opened, SafetensorsFile::open(file));
  return loadParameters(opened);
}

Status Session::saveParameters(const std::string &file, const Metadata &metadata) const {
  for (const Parameter &parameter : manifest().parameters)
    if (!side->host(Role::Parameter).contains(parameter.name))
      return Status::error(path(), ": the parameter \"", parameter.name,
                           "\" was neither bound nor loaded or initialised, and cannot be saved");
  PEER_TRY(download());
  return writeSafetensors(file, side->host(Role::Parameter), metadata);
}

Status Session::prepare(const Entry &entry) {
  uint64_t kept = 0;
  auto isKept = [](const Argument &argument) { return argument.role == Role::State || argument.role == Role::Usage; };
  for (const Argument &argument : entry.arguments)
    if (isKept(argument) && !side->host(argument.role).contains(argument.name))
      kept += static_cast<uint64_t>(*byteCount(argument.dtype, argument.shape));
  if (kept > 0) {
    uint64_t parameters = missingBytes(manifest(), side->host(Role::Parameter));
    std::string what =
        concat(parameters ? "parameters and " : "", entry.kind == EntryKind::Train        ? "optimizer state"
                                                    : entry.kind == EntryKind::Accumulate ? "sums of gradients"
                                                                                          : "state");
    // The host's copies of what a device keeps have no pages before they are asked for.
    PEER_TRY(checkRoom(std::max(kept + parameters, side->missingBytes(entry)), what));
  }
  for (const Argument &argument : entry.arguments) {
    if (!isKept(argument) || side->host(argument.role).contains(argument.name))
      continue;
    PEER_TRY_ASSIGN(Tensor tensor, Tensor::zeros(argument.dtype, argument.shape,
                                                 concat(roleName(argument.role), " \"", argument.name, "\"")));
    side->host(argument.role).emplace(argument.name, std::move(tensor));
  }
  return side->prepare(entry);
}

void Session::clearStates() { clear(Role::State); }
void Session::clearUsage() { clear(Role::Usage); }

void Session::clear(Role role) {
  if (Status status = side->clear(role); !status.ok() && deviceFailure.ok())
    deviceFailure = std::move(status);
}

ScalarMap Session::defaultScalars(const Entry &entry) const {
  constexpr std::string_view rate = format::name::kLearningRateOf;
  ScalarMap scalars;
  for (const Argument &argument : entry.arguments) {
    if (argument.role != Role::Scalar)
      continue;
    double value = argument.name == format::name::kStep || argument.name == format::name::kScale ? 1 : 0;
    if (argument.name.starts_with(rate))
      if (const Group *group = manifest().findGroup(std::string_view(argument.name).substr(rate.size())))
        value = group->learningRate;
    scalars[argument.name] = value;
  }
  return scalars;
}

} // namespace peer::runtime
