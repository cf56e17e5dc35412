// The device `cpu`: compiled code computes on the host's tensors.
#pragma once

#include "device/Device.h"

namespace peer::runtime {

/// Opens OpenBLAS, once; fails where there is none. `arch` is not looked at.
Result<std::shared_ptr<Device>> openCpuDevice(const std::string &arch);

/// The same without a library for products: for sessions that hold parameters and call nothing.
std::shared_ptr<Device> hostDevice();

} // namespace peer::runtime
