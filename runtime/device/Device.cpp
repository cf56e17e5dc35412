#include "Device.h"

namespace peer::runtime {

Status DeviceSession::clear(Role role) {
  for (auto &[name, tensor] : host(role))
    tensor.clear();
  return {};
}

} // namespace peer::runtime
