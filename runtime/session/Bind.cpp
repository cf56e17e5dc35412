// Parameters, states and usage in memory of the caller's.
#include "Session.h"

#include "Views.h"

namespace peer::runtime {

namespace {
/// A tensor that a model keeps between calls, by the name that programs know it by.
struct Kept {
  Role role;
  const std::string *name;
  DType dtype;
  const Shape *shape;
};

Result<Kept> findKept(const Manifest &manifest, std::string_view name, const std::string &path) {
  for (Role role : {Role::State, Role::Usage}) {
    std::string prefix = concat(roleName(role), ":");
    if (!name.starts_with(prefix))
      continue;
    for (const Entry &entry : manifest.entries)
      for (const Argument &argument : entry.arguments)
        if (argument.role == role && argument.name == name.substr(prefix.size()))
          return Kept{role, &argument.name, argument.dtype, &argument.shape};
    return Status::error(path, " has no ", roleName(role), " \"", name.substr(prefix.size()), "\"");
  }
  if (const Parameter *parameter = manifest.findParameter(name))
    return Kept{Role::Parameter, &parameter->name, parameter->dtype, &parameter->shape};
  return Status::error(path, " has no parameter \"", name, "\"");
}
} // namespace

Status Session::bind(std::string_view name, const peer_view &given) {
  PEER_TRY_ASSIGN(Kept kept, findKept(manifest(), name, path()));
  PEER_TRY(checkSizes(&given, 1, "tensor to be bound"));
  Expected expected{"", roleName(kept.role), *kept.name, kept.dtype, *kept.shape};
  PEER_TRY(checkType(given, expected));
  PEER_TRY_ASSIGN(Place place, placeOf(given, expected, *where));
  if (where->gpuNumber() && !place.onDevice)
    return Status::error(expected.kind, " \"", expected.name, "\" is in memory of the host, and kernels on the device ",
                         where->name(), " read memory of the GPU");
  return side->bind(kept.role, *kept.name, kept.dtype, *kept.shape, place);
}

Status Session::unbind(std::string_view name) {
  PEER_TRY_ASSIGN(Kept kept, findKept(manifest(), name, path()));
  if (side->boundPlace(kept.role, *kept.name))
    return side->unbind(kept.role, *kept.name);
  side->handOut(kept.role, *kept.name, false);
  return {};
}

Status Session::view(std::string_view name, peer_view &view) {
  PEER_TRY_ASSIGN(Kept kept, findKept(manifest(), name, path()));
  const Place *place = side->boundPlace(kept.role, *kept.name);
  peer_view found{sizeof(peer_view),  PEER_CPU,           0,       dtypeName(kept.dtype).data(),
                  kept.shape->size(), kept.shape->data(), nullptr, place ? place->data : nullptr};
  if (place && place->onDevice) {
    found.device_type = PEER_CUDA;
    found.device_id = *where->gpuNumber();
  }
  if (!place) {
    TensorMap &tensors = hostTensors(kept.role);
    PEER_TRY(std::exchange(deviceFailure, Status()));
    auto tensor = tensors.find(*kept.name);
    if (tensor == tensors.end())
      return Status::error("the ", roleName(kept.role), " \"", *kept.name, "\" of ", path(),
                           kept.role == Role::Parameter ? " was neither loaded nor initialised"
                                                        : " is there from the first call that uses it on");
    found.data = tensor->second.data();
    side->handOut(kept.role, *kept.name, true);
  }
  view = found;
  return {};
}

Status Session::share(Session &other, const Entry &entry) {
  if (!where->place().empty())
    return Status::error("sessions share no tensors", where->place(), ", which has copies of its own");
  auto take = [&](Role role, const std::string &name, DType dtype, const Shape &shape) -> Status {
    TensorMap &theirs = other.hostTensors(role);
    auto found = theirs.find(name);
    if (found == theirs.end() || found->second.dtype() != dtype || found->second.shape() != shape)
      return Status::error(path(), " has the ", roleName(role), " \"", name, "\", ", typeText(dtype, shape), ", which ",
                           other.path(), found == theirs.end() ? " has not" : " has with another type");
    side->host(role).insert_or_assign(name, Tensor::wrap(dtype, shape, found->second.data(), nullptr));
    return {};
  };
  for (const Parameter &parameter : manifest().parameters)
    PEER_TRY(take(Role::Parameter, parameter.name, parameter.dtype, parameter.shape));
  for (const Argument &argument : entry.arguments)
    if (argument.role == Role::State || argument.role == Role::Usage)
      PEER_TRY(take(argument.role, argument.name, argument.dtype, argument.shape));
  for (Role role : {Role::Parameter, Role::State, Role::Usage})
    side->hostMayChange(role);
  return {};
}

} // namespace peer::runtime
