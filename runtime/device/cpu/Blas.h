// OpenBLAS, opened at run time: a missing one is an error message rather than a program that does not start, and commands that
// compute nothing do not pay for loading it. It chooses its kernels by the CPU, or by OPENBLAS_CORETYPE; where it is older than the CPU and takes
// narrow ones, it is loaded again with those that fit.
#pragma once

#include "core/Status.h"

#include <string>
#include <string_view>

namespace peer::runtime {

/// Opens OpenBLAS, once; fails where there is none.
Status loadBlas();

/// The kernels in use ("SkylakeX", "Haswell", ...); empty before loadBlas().
std::string blasCore();

/// How wide vectors are in OpenBLAS's kernels, or in what a CPU executes.
enum class BlasVectors { Unknown, Sse, Avx, Avx2, Avx512 };

/// What products are made with: "panels of 16 lanes, BLAS kernels: SkylakeX". After loadBlas().
std::string productsText();

/// By OpenBLAS's name of its kernels.
BlasVectors vectorsOf(std::string_view core);

/// The name of kernels that are wider than these and fit this CPU; null: there are none.
const char *widerKernels(std::string_view core);

/// Where OpenBLAS computes with narrower kernels than this CPU has, or with blocks of a size that somebody chose: which ones, and what to do.
/// Empty where there is nothing to say, and before loadBlas().
std::string blasAdvice();

/// The same of kernels by name, a CPU, and what OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE say (null: nothing).
std::string blasAdvice(std::string_view core, BlasVectors cpu, const char *coreType, const char *l2Size);

} // namespace peer::runtime
