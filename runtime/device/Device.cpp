#include "Device.h"

namespace peer::runtime {

Status DeviceSession::clear(Role role) {
  for (auto &[name, tensor] : host(role))
    tensor.clear();
  return {};
}

Status DeviceSession::bind(Role role, const std::string &name, DType dtype, const Shape &shape, Place place) {
  host(role).insert_or_assign(name, Tensor::wrap(dtype, shape, place.data, nullptr));
  bound[placeOf(role)].insert_or_assign(name, place);
  return {};
}

Status DeviceSession::unbind(Role role, const std::string &name) {
  Tensor &tensor = host(role).find(name)->second;
  PEER_TRY_ASSIGN(Tensor own, tensor.clone());
  tensor = std::move(own);
  bound[placeOf(role)].erase(name);
  return {};
}

const Place *DeviceSession::boundPlace(Role role, std::string_view name) const {
  auto found = bound[placeOf(role)].find(name);
  return found == bound[placeOf(role)].end() ? nullptr : &found->second;
}

} // namespace peer::runtime
