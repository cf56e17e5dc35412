// OpenBLAS, opened at run time so that the kernels can be chosen before it looks at the CPU.
#pragma once

#include "Status.h"

namespace peer::runtime {

/// Opens OpenBLAS, once. Call it before threads are started: it sets an environment variable for a moment.
Status loadBlas();

/// The kernels in use ("SkylakeX", "Haswell", ...); empty before loadBlas().
std::string blasCore();

} // namespace peer::runtime
