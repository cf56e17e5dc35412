// The simulator as a device. It is a library of its own, libpeer_sim.so, which lies beside this one and is opened when it is asked for: who
// embeds the runtime need not bring it.
#pragma once

#include "GpuDevice.h"

namespace peer::runtime {

/// Runs kernels for any architecture that `arch` may name. Faults of a kernel are errors of the launch.
Result<std::shared_ptr<GpuDevice>> openSimDevice(const std::string &arch);

} // namespace peer::runtime
