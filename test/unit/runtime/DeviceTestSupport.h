// The hand-made artifact for GPUs.
#pragma once

#include "TestSupport.h"

namespace peer::runtime {

/// The manifest that goes with DeviceEntries.c.
nlohmann::json deviceManifest();

/// Writes the artifact to the folder as GPU.peer and returns its path.
std::string writeDeviceArtifact(const TemporaryFolder &folder, const nlohmann::json &manifest = deviceManifest());

} // namespace peer::runtime
