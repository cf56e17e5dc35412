#include "DeviceCall.h"

#include <cstring>

namespace peer::runtime {

namespace {
thread_local DeviceCall *inProgress = nullptr;
} // namespace

ModuleRecord::Kernel *ModuleRecord::kernel(std::string_view name) {
  auto found = kernels.find(name);
  if (found == kernels.end())
    found = kernels.emplace(std::string(name), Kernel{this, std::string(name)}).first;
  return &found->second;
}

LoadedModules::~LoadedModules() {
  for (auto &[record, module] : modules)
    device.unloadModule(module);
}

Result<DeviceModule *> LoadedModules::module(const ModuleRecord &record) {
  if (auto found = modules.find(&record); found != modules.end())
    return found->second;
  ModuleImage image;
  const auto *data = static_cast<const char *>(record.data);
  if (record.text) {
    image = {std::string_view(data, std::strlen(data)), cubin};
  } else {
    image.cubin = {static_cast<const std::byte *>(record.data), record.bytes};
  }
  PEER_TRY_ASSIGN(DeviceModule * loaded, device.loadModule(image));
  modules.emplace(&record, loaded);
  return loaded;
}

Result<DeviceFunction *> LoadedModules::function(const ModuleRecord::Kernel &kernel) {
  if (auto found = functions.find(&kernel); found != functions.end())
    return found->second;
  PEER_TRY_ASSIGN(DeviceModule * loaded, module(*kernel.module));
  PEER_TRY_ASSIGN(DeviceFunction * function, device.function(loaded, kernel.name));
  functions.emplace(&kernel, function);
  return function;
}

DeviceCall::DeviceCall(GpuDevice &device, DeviceHeap &heap, LoadedModules &modules)
    : device(device), heap(heap), modules(modules), outer(inProgress) {
  inProgress = this;
}

DeviceCall::~DeviceCall() { inProgress = outer; }

DeviceCall *DeviceCall::current() { return inProgress; }

} // namespace peer::runtime
