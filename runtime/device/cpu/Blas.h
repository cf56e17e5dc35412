// OpenBLAS, opened at run time: a missing one is an error message rather than a program that does not start, and commands that
// compute nothing do not pay for loading it. It chooses its kernels by the CPU, or by OPENBLAS_CORETYPE.
#pragma once

#include "core/Status.h"

namespace peer::runtime {

/// Opens OpenBLAS, once; fails where there is none.
Status loadBlas();

/// The kernels in use ("SkylakeX", "Haswell", ...); empty before loadBlas().
std::string blasCore();

} // namespace peer::runtime
