#include "DeviceMirror.h"

#include <algorithm>

namespace peer::runtime {

DeviceMirror::~DeviceMirror() {
  for (auto &[name, copy] : copies)
    if (!copy.adopted)
      (void)device.free(copy.address);
}

Result<DeviceAddress> DeviceMirror::allocate(std::string_view name) {
  const Tensor &tensor = host.find(name)->second;
  // A tensor without elements has an address too, which nobody reads from.
  Result<DeviceAddress> address = device.allocate(std::max<uint64_t>(tensor.bytes(), 1));
  if (!address.ok())
    return Status::error(what, " \"", name, "\" (", typeText(tensor.dtype(), tensor.shape()), "): ", address.message());
  return address;
}

Status DeviceMirror::add(std::string_view name, bool isZero) {
  if (copies.contains(name))
    return {};
  isZero = isZero && !isShared(name);
  PEER_TRY_ASSIGN(DeviceAddress address, allocate(name));
  copies.insert_or_assign(std::string(name), Copy{address, isZero ? Newer::Neither : Newer::Host});
  return isZero ? zero(address, host.find(name)->second.bytes()) : Status();
}

Result<DeviceAddress> DeviceMirror::upload(std::string_view name) {
  Copy &copy = copies.find(name)->second;
  if (copy.adopted)
    return copy.address;
  if (copy.newer == Newer::Host || isShared(name)) {
    const Tensor &tensor = host.find(name)->second;
    PEER_TRY(device.copyIn(copy.address, tensor.data(), tensor.bytes()));
    copy.newer = Newer::Neither;
  }
  return copy.address;
}

Status DeviceMirror::deviceChanged(std::string_view name) {
  Copy &copy = copies.find(name)->second;
  copy.newer = Newer::Device;
  if (!isShared(name))
    return {};
  Tensor &tensor = host.find(name)->second;
  PEER_TRY(device.copyOut(tensor.data(), copy.address, tensor.bytes()));
  copy.newer = Newer::Neither;
  return {};
}

Status DeviceMirror::download() {
  for (auto &[name, copy] : copies) {
    // Who else writes to adopted memory does not say so.
    if (copy.newer != Newer::Device && !copy.adopted)
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
  for (const std::string &name : shared)
    host.find(name)->second.clear();
  return {};
}

void DeviceMirror::share(std::string_view name) { shared.emplace(name); }

Status DeviceMirror::adopt(std::string_view name, DeviceAddress address) {
  auto found = copies.find(name);
  if (found != copies.end() && !found->second.adopted)
    PEER_TRY(device.free(found->second.address));
  if (auto at = shared.find(name); at != shared.end())
    shared.erase(at);
  copies.insert_or_assign(std::string(name), Copy{address, Newer::Device, true});
  return {};
}

Status DeviceMirror::disown(std::string_view name) {
  if (auto found = shared.find(name); found != shared.end())
    shared.erase(found);
  auto found = copies.find(name);
  if (found == copies.end())
    return {};
  Copy &copy = found->second;
  if (!copy.adopted) {
    copy.newer = Newer::Host;
    return {};
  }
  PEER_TRY_ASSIGN(DeviceAddress own, allocate(name));
  if (Status status = device.copy(own, copy.address, host.find(name)->second.bytes()); !status.ok()) {
    (void)device.free(own);
    return status;
  }
  PEER_TRY(device.synchronize());
  copy = {own, Newer::Device, false};
  return {};
}

Status DeviceMirror::flush() {
  for (auto &[name, copy] : copies)
    if (copy.adopted && copy.newer == Newer::Host) {
      const Tensor &tensor = host.find(name)->second;
      PEER_TRY(device.copyIn(copy.address, tensor.data(), tensor.bytes()));
      copy.newer = Newer::Device;
    }
  return device.synchronize();
}

} // namespace peer::runtime
