// How the parameters of a converted model follow from those of the model that it was made of: what the description half of a pass writes.
// README.md says what a plan is.
#pragma once

#include "model/Manifest.h"

namespace peer::runtime {

/// Tensors that the weights half of a pass found, by the names that the plan reads them under.
using Decisions = TensorMap;

/// The parameters of `after`: what the plan says, or else those of the same name, type and shape of before. `json` is the plan's text and `path` its
/// file, for messages. Fails on a plan that says something else than the new description wants, or less, and where weights are not what it demands.
Result<TensorMap> applyPlan(std::string_view json, const std::string &path, const Manifest &after,
                            const TensorMap &before, uint64_t seed, const Decisions &decisions = {});

} // namespace peer::runtime
