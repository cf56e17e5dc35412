// What to compile for, where a model is to run on the GPU of this machine.
#pragma once

#include "core/Status.h"

#include <string>

namespace peer::runtime {

/// The architecture of the NVIDIA GPU that openCudaDevice would take, such as sm_90.
Result<std::string> cudaArch();

} // namespace peer::runtime
