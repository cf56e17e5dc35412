// Device copies of named host tensors, and which side has the newer values.
#pragma once

#include "GpuDevice.h"
#include "core/Tensor.h"

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
  void deviceChanged(std::string_view name);
  /// Brings everything that the device wrote to the host.
  Status download();
  /// The host may write any tensor from now on until the next upload. Only after download().
  void hostMayChange();
  /// Sets all tensors to zero on both sides.
  Status clear();

private:
  enum class Newer { Neither, Host, Device };
  struct Copy {
    DeviceAddress address;
    Newer newer;
  };
  Status zero(DeviceAddress address, uint64_t bytes) { return device.fill(address, 0, 1, bytes); }

  GpuDevice &device;
  TensorMap &host;
  std::string what;
  std::map<std::string, Copy, std::less<>> copies;
};

} // namespace peer::runtime
