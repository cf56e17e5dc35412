// Which devices there are.
#include "Device.h"

#include "core/Tensor.h"

namespace peer::runtime {

Status outOfDeviceMemory(uint64_t bytes, const DeviceMemory &memory) {
  return Status::error("out of memory on the device: ", bytesText(bytes), " were asked for, ", bytesText(memory.free),
                       " of ", bytesText(memory.total), " are free");
}

Result<std::shared_ptr<Device>> openDevice(std::string_view name, const std::string &arch) {
  if (name == "sim")
    return makeSimDevice();
  if (name == "cuda")
    return openCudaDevice(arch);
  return Status::error("there is no device '", name, "' (known: cuda, sim)");
}

} // namespace peer::runtime
