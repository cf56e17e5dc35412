// Device copies of named host tensors, and which side has the newer values.
#pragma once

#include "GpuDevice.h"
#include "core/Tensor.h"

#include <set>

namespace peer::runtime {

/// The host's tensors stay what callers see; they are copied only when the other side is asked for what changed.
class DeviceMirror {
public:
  /// `host` must outlive it. `what` is one of its tensors in messages: parameter, state, usage.
  DeviceMirror(GpuDevice &device, TensorMap &host, std::string what)
      : device(device), host(host), what(std::move(what)) {}
  ~DeviceMirror();
  DeviceMirror(const DeviceMirror &) = delete;
  DeviceMirror &operator=(const DeviceMirror &) = delete;

  /// Makes the device's copy of a tensor that the host has, unless there is one. `isZero`: its values are all zero, and need no transfer.
  Status add(std::string_view name, bool isZero);
  bool hostHas(std::string_view name) const { return host.contains(name); }
  bool contains(std::string_view name) const { return copies.contains(name); }

  /// The address of a tensor, with the host's values where those are newer.
  Result<DeviceAddress> upload(std::string_view name);
  /// The device wrote a tensor.
  Status deviceChanged(std::string_view name);
  /// Brings everything that the device wrote to the host.
  Status download();
  /// The host may write any tensor from now on until the next upload. Only after download().
  void hostMayChange();
  /// Sets all tensors to zero on both sides.
  Status clear();

  /// From now on the host's tensor is memory that somebody else reads and writes, too: it is read before each call, and written after.
  void share(std::string_view name);
  /// From now on the device's copy is memory that somebody else reads and writes, too; the host has a tensor to look at it.
  Status adopt(std::string_view name, DeviceAddress address);
  /// Ends both; the values stay.
  Status disown(std::string_view name);
  /// Brings what the host wrote to the copies that were adopted.
  Status flush();

private:
  enum class Newer { Neither, Host, Device };
  struct Copy {
    DeviceAddress address;
    Newer newer;
    bool adopted = false;
  };
  bool isShared(std::string_view name) const { return shared.contains(name); }
  Result<DeviceAddress> allocate(std::string_view name);
  Status zero(DeviceAddress address, uint64_t bytes) { return device.fill(address, 0, 1, bytes); }

  GpuDevice &device;
  TensorMap &host;
  std::string what;
  std::map<std::string, Copy, std::less<>> copies;
  std::set<std::string, std::less<>> shared; // host tensors, whether they have copies or not
};

} // namespace peer::runtime
