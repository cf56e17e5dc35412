// Which blocks `drop-blocks` leaves out.
#pragma once

#include "Bench.h"

namespace peer::runtime {

/// Settings of the pass that drop as many blocks as the user wants: by the loss without each, greedily, or otherwise. The report gets the loss after
/// each that goes, beside the order of similarity (ShortGPT) and one by chance, and notes of each block.
Result<ConvertBench::Settings> chooseBlocks(ConvertBench &bench, const TensorMap &before, ConvertReport &report);

} // namespace peer::runtime
