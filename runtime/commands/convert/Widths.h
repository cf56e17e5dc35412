// Models of other widths beside the one that `matformer` makes.
#pragma once

#include "Bench.h"

namespace peer::runtime {

/// The loss against the parameters of models of several widths (mix'n'match): all, a half, a quarter and an eighth of each layer, steps from all to a
/// quarter from the first layer to the last and the other way, and those that are extracted. `layers` are the hidden units of each layer of the old model.
Status measureWidths(ConvertBench &bench, const TensorMap &before, const std::vector<int64_t> &layers,
                     ConvertReport &report);

/// What --widths says, for the pass. Fails where it is no list of numbers.
Result<std::string> widthsOf(const ConvertBench &bench);

} // namespace peer::runtime
