// Weights split over several safetensors files, and the index that names them (model.safetensors.index.json).
#pragma once

#include "core/File.h"

#include <map>
#include <vector>

namespace peer::runtime {

/// The index of a directory: the one file in it whose name ends with ".safetensors.index.json". An error that says what the directory has
/// where there is none, or more than one.
Result<std::string> findIndex(const std::string &directory);

/// Whether a file can be an index: a JSON document, which a safetensors file, whose first bytes are a length, cannot begin as.
Result<bool> looksLikeIndex(const MappedFile &file);

struct SafetensorsIndex {
  std::vector<std::string> files;                          // paths, in the order of their names
  std::map<std::string, uint32_t, std::less<>> fileOfName; // tensor -> its file
};

/// Reads an index: {"weight_map": {TENSOR: FILE, ...}}, files relative to the index and below its directory. Fails where one is not there,
/// naming them all.
Result<SafetensorsIndex> readIndex(const MappedFile &file, const std::string &path);

} // namespace peer::runtime
