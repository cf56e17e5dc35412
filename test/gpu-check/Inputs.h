// Inputs of benchmarks: seeded, so that every run measures the same.
#pragma once

#include "Isolated.h"

#include "session/Session.h"

namespace peer::gpucheck {

/// Inputs of an entry with T tokens: standard normal floats, but for weights (`w`, positive with sum 1 per token and head) and expert ids (`idx`), which are
/// uniform or, where `zipf` is not 0, distributed by Zipf's law with that exponent. The number of experts must be a power of two.
runtime::Result<runtime::TensorMap> benchmarkInputs(const runtime::Entry &entry, int64_t tokens, int64_t experts,
                                                    double zipf, uint64_t seed);

/// Fills tables of int8, whose initialiser is zeros.
runtime::Status fillQuantized(runtime::TensorMap &parameters, uint64_t seed);

/// The largest |actual - expected| of a forward benchmark's result y over a few tokens, in parts of the largest |expected|, by the references in
/// double precision (select by brute force). `spec` says the kind ("mix" or "layer") and the sizes.
runtime::Result<double> errorOfTokens(const runtime::Session &session, const Json &spec,
                                      const runtime::TensorMap &inputs, const runtime::TensorMap &results);

} // namespace peer::gpucheck
