// The call of an entry in progress on this thread: where the entry points of Mgpu.cpp find the device, and where they leave errors, for
// which compiled host code has no way.
#pragma once

#include "DeviceHeap.h"

#include <memory>
#include <unordered_map>

namespace peer::runtime {

/// A module as the artifact's constructor announced it. Nothing is loaded before a kernel is first needed, so that an artifact can be opened,
/// inspected and initialised on a machine without a GPU.
struct ModuleRecord {
  /// A kernel of it, in the form in which compiled code passes it around.
  struct Kernel {
    ModuleRecord *module;
    std::string name;
  };

  const void *data;
  size_t bytes;
  /// PTX that ends with a zero, or machine code of `bytes` bytes.
  bool text;
  std::map<std::string, Kernel, std::less<>> kernels;

  Kernel *kernel(std::string_view name);
};

/// What a session loaded on its device.
class LoadedModules {
public:
  /// `cubin` is the artifact's, empty where it has none.
  LoadedModules(GpuDevice &device, std::span<const std::byte> cubin) : device(device), cubin(cubin) {}
  ~LoadedModules();
  LoadedModules(const LoadedModules &) = delete;
  LoadedModules &operator=(const LoadedModules &) = delete;

  Result<DeviceFunction *> function(const ModuleRecord::Kernel &kernel);

private:
  Result<DeviceModule *> module(const ModuleRecord &record);

  GpuDevice &device;
  std::span<const std::byte> cubin;
  std::unordered_map<const ModuleRecord *, DeviceModule *> modules;
  std::unordered_map<const ModuleRecord::Kernel *, DeviceFunction *> functions;
};

/// Makes a device that of the calls in this scope. After the first error nothing more is done.
class DeviceCall {
public:
  DeviceCall(GpuDevice &device, DeviceHeap &heap, LoadedModules &modules);
  ~DeviceCall();
  DeviceCall(const DeviceCall &) = delete;
  DeviceCall &operator=(const DeviceCall &) = delete;

  /// That of this thread, null outside of any.
  static DeviceCall *current();

  /// Does `operation` (-> Status) unless an earlier one failed.
  template <typename Operation>
  void run(Operation operation) {
    if (failure.ok())
      failure = operation();
  }
  /// The first error.
  const Status &status() const { return failure; }

  GpuDevice &device;
  DeviceHeap &heap;
  LoadedModules &modules;

private:
  Status failure;
  DeviceCall *outer;
};

} // namespace peer::runtime
