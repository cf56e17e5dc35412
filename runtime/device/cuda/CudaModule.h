// Modules of the device `cuda`: from machine code where it fits the GPU, else from PTX by the driver's compiler.
#pragma once

#include "CudaDriver.h"
#include "device/gpu/GpuDevice.h"

#include <map>
#include <optional>

namespace peer::runtime::cuda {

/// The GPU in use.
struct Gpu {
  std::string name;
  /// 10 * major + minor.
  int capability = 0;
  int driverVersion = 0;
  unsigned maxShared = kSharedWithoutAsking;
};

/// One kernel.
struct LoadedFunction : DeviceFunction {
  std::string name;
  Function handle = nullptr;
  unsigned staticShared = 0;
  /// Dynamic shared memory that the driver has been told of.
  unsigned dynamicShared = 0;
  /// How many parameters it takes; none where the driver is too old to tell.
  std::optional<size_t> parameters;
};

/// Not freed by its destructor: only unload() knows that the context is current.
class LoadedModule : public DeviceModule {
public:
  static Result<std::unique_ptr<LoadedModule>> load(const DriverApi &driver, const Gpu &gpu, const ModuleImage &image);
  void unload(const DriverApi &driver) { (void)driver.moduleUnload(handle); }
  Result<LoadedFunction *> function(const DriverApi &driver, const std::string &kernel);

private:
  Module handle = nullptr;
  std::map<std::string, LoadedFunction, std::less<>> functions;
};

/// Makes room for so much dynamic shared memory in the launches of a kernel.
Status allowShared(const DriverApi &driver, const Gpu &gpu, LoadedFunction &function, unsigned bytes);

} // namespace peer::runtime::cuda
