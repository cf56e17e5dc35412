// The header of a safetensors file, read as the reference implementation reads it: in one pass over the JSON text, every claim checked.
#pragma once

#include "core/Tensor.h"

#include <map>
#include <string_view>

namespace peer::runtime {

using Metadata = std::map<std::string, std::string, std::less<>>;

/// One tensor of a file; `begin` and `end` are byte offsets into its data section, `part` is the file among those of an index.
struct TensorInfo {
  DType dtype;
  Shape shape;
  uint64_t begin, end;
  uint32_t part = 0;
};

using TensorInfos = std::map<std::string, TensorInfo, std::less<>>;

struct SafetensorsHeader {
  TensorInfos tensors;
  Metadata metadata;
};

/// Parses the text of a header whose file has `dataBytes` after it. Fails with one sentence, beginning with `path`, on what the reference
/// refuses (not JSON, unknown dtypes, sizes that do not match, overlaps, gaps, data that no tensor owns or that is cut off), and on names
/// that appear twice, which it lets replace each other.
Result<SafetensorsHeader> parseSafetensorsHeader(std::string_view text, uint64_t dataBytes, const std::string &path);

} // namespace peer::runtime
