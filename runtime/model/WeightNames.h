// Which tensors of a weights file are the parameters of a model: all of them must be, and all that differs is said at once.
#pragma once

#include "Manifest.h"
#include "Safetensors.h"

namespace peer::runtime {

/// Whether a file of weights has to have all parameters, or some of them.
enum class WeightsAre { All, Some };

/// Compares names, dtypes and shapes. Tensors whose names begin with `ignorePrefix` (when not empty) are passed over. Returns what the file's
/// names have before the parameters' ("module.", "model.", "_orig_mod."), mostly nothing. `model` is the artifact's path, for messages.
Result<std::string> matchWeights(const Manifest &manifest, const SafetensorsFile &file, std::string_view ignorePrefix,
                                 const std::string &model, WeightsAre wanted = WeightsAre::All);

} // namespace peer::runtime
