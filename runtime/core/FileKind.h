// What a file is that was given for another: people rename, download and clone, and what arrives is often not what its name says.
#pragma once

#include "File.h"

namespace peer::runtime {

/// What foreignKind says of a safetensors file.
inline constexpr const char *kSafetensorsKind = "is a safetensors file";

/// What a file is by its first bytes, and the cure, to follow its path in a sentence: "is a Git LFS pointer ...: run git lfs pull". Empty where
/// it looks like nothing known. Safetensors files and artifacts are known, too.
Result<std::string> foreignKind(const MappedFile &file);

} // namespace peer::runtime
