// Tables of experts as int8, a scale per vector.
#pragma once

#include "model/Safetensors.h"

namespace peer::runtime {

/// What was written: the quantized tensors and their bytes before and after, the scales included.
struct QuantizeSummary {
  size_t tensors = 0;
  uint64_t before = 0, after = 0;
};

/// Copies a weights file with the named tables (f32 or bf16, `R x F x D`) quantized: NAME becomes i8, and NAME.scale, f32
/// `R x F`, holds max|v| / 127 of each vector v, whose elements are round(v / scale) to the nearest even number. A vector whose
/// scale would be 0 gets the scale 1. Tables are read twice in pieces, so that they need not fit in memory; `out` appears whole or
/// not at all. Fails where a table is missing, is none, is named twice, holds a value that is not finite, or its scale is taken.
Result<QuantizeSummary> quantizeFile(const std::string &weights, const std::vector<std::string> &tables,
                                     const std::string &out);

} // namespace peer::runtime
