// What tells whether two artifacts are the same model.
#pragma once

#include "core/Status.h"

#include <map>
#include <string>

namespace peer::runtime {

/// Fingerprints of an artifact's entries by name: what an entry computes, whatever it was compiled for, so that equal descriptions have equal ones.
using Fingerprints = std::map<std::string, std::string>;

/// Those of the manifest; empty for artifacts of before.
Result<Fingerprints> readFingerprints(const std::string &artifact);

} // namespace peer::runtime
