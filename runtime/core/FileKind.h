// What a file is that was given for another: people rename, download and clone, and what arrives is often not what its name says.
#pragma once

#include "File.h"

namespace peer::runtime {

/// What foreignKind says of a safetensors file.
inline constexpr const char *kSafetensorsKind = "is a safetensors file";

/// What a file is by its first bytes, and the cure, to follow its path in a sentence: "is a Git LFS pointer ...: run git lfs pull". Empty where
/// it looks like nothing known. Safetensors files and artifacts are known, too.
Result<std::string> foreignKind(const MappedFile &file);

/// As much of a file as its kind as a text is read off; git looks at as much for a zero byte.
inline constexpr size_t kContentsBytes = 8000;

/// What a file's first `kContentsBytes` say of it, if it is no text of single bytes: "archive", "binary file", "UTF-16 file", "UTF-32 file" or
/// "Git LFS pointer"; otherwise empty. Text in any encoding of single bytes, and UTF-8, is text.
std::string_view kindOfContents(std::string_view beginning);

} // namespace peer::runtime
