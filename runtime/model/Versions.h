// Of an artifact's versions, each for another kind of CPU, the one that runs here.
#pragma once

#include "Manifest.h"

namespace peer::runtime {

/// The variable that names the version to take, by its CPU. It is for comparisons; artifacts with one version do not ask it.
inline constexpr const char *kVersionVariable = "PEER_CPU";

/// Whether the first is for CPUs that can do more. Of two sets of features of which one holds the other, that is the larger one.
bool isMoreDemanding(const Version &one, const Version &other);

/// Makes the most demanding version that this CPU can run the manifest's own, or the one of a name, which may be null. Fails with one sentence where
/// there is none. `path` is the artifact's, for messages.
Status chooseVersion(Manifest &manifest, const char *name, const std::string &path);

} // namespace peer::runtime
