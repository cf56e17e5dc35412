#include "DeviceMirror.h"

#include <algorithm>

namespace peer::runtime {

DeviceMirror::~DeviceMirror() {
  for (auto &[name, copy] : copies)
    (void)device.free(copy.address);
}

Status DeviceMirror::add(std::string_view name, bool isZero) {
  if (copies.contains(name))
    return {};
  const Tensor &tensor = host.find(name)->second;
  // A tensor without elements has an address too, which nobody reads from.
  Result<DeviceAddress> address = device.allocate(std::max<uint64_t>(tensor.bytes(), 1));
  if (!address.ok())
    return Status::error(what, " \"", name, "\" (", typeText(tensor.dtype(), tensor.shape()), "): ", address.message());
  copies.insert_or_assign(std::string(name), Copy{*address, isZero ? Newer::Neither : Newer::Host});
  return isZero ? zero(*address, tensor.bytes()) : Status();
}

Result<DeviceAddress> DeviceMirror::upload(std::string_view name) {
  Copy &copy = copies.find(name)->second;
  if (copy.newer == Newer::Host) {
    const Tensor &tensor = host.find(name)->second;
    PEER_TRY(device.copyIn(copy.address, tensor.data(), tensor.bytes()));
    copy.newer = Newer::Neither;
  }
  return copy.address;
}

void DeviceMirror::deviceChanged(std::string_view name) { copies.find(name)->second.newer = Newer::Device; }

Status DeviceMirror::download() {
  for (auto &[name, copy] : copies) {
    if (copy.newer != Newer::Device)
      continue;
    Tensor &tensor = host.find(name)->second;
    PEER_TRY(device.copyOut(tensor.data(), copy.address, tensor.bytes()));
    copy.newer = Newer::Neither;
  }
  return {};
}

void DeviceMirror::hostMayChange() {
  for (auto &[name, copy] : copies)
    copy.newer = Newer::Host;
}

Status DeviceMirror::clear() {
  for (auto &[name, copy] : copies) {
    Tensor &tensor = host.find(name)->second;
    tensor.clear();
    PEER_TRY(zero(copy.address, tensor.bytes()));
    copy.newer = Newer::Neither;
  }
  return {};
}

} // namespace peer::runtime
