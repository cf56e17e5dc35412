// What the runtime expects of a language model's entries.

#include "DataEntry.h"

#include "artifact/format.h"

#include <algorithm>

namespace peer::runtime {

Result<LanguageEntry> findLanguageEntry(const Manifest &manifest, EntryKind kind, const std::string &path) {
  const Entry *entry = manifest.findEntry(kind);
  std::string_view wanted = entryKindName(kind);
  if (!entry)
    return Status::error(path, " has no ", wanted, " entry: expected a language model compiled with one");
  int inputs = 0;
  for (const Argument &argument : entry->arguments) {
    if (argument.role != Role::Input)
      continue;
    ++inputs;
    if ((argument.name != "tokens" && argument.name != "targets") || argument.dtype != DType::I32 ||
        argument.shape != Shape{kDynamic})
      return Status::error("the ", wanted, " entry of ", path, " takes '", argument.name, "', ",
                           typeText(argument.dtype, argument.shape),
                           ": expected a language model, which takes 'tokens' and 'targets', i32 [T]");
  }
  if (inputs != 2)
    return Status::error("the ", wanted, " entry of ", path, " takes ", inputs,
                         " inputs: expected 'tokens' and 'targets'");
  const ResultInfo *loss = entry->findResult(format::name::kLoss);
  if (!loss || loss->dtype != DType::F32 || !loss->shape.empty())
    return Status::error("the ", wanted, " entry of ", path, " returns no f32 scalar 'loss'");
  return LanguageEntry{entry, entry->multipleOf};
}

std::array<int64_t, 2> byteRange(const LanguageEntry &model) {
  std::array<int64_t, 2> common{0, 256};
  for (const Argument &argument : model.entry->arguments)
    if (argument.role == Role::Input && argument.range)
      common = {std::max(common[0], (*argument.range)[0]), std::min(common[1], (*argument.range)[1])};
  return common;
}

Result<TensorMap> makeLanguageInputs(const LanguageEntry &model, int64_t sequences) {
  TensorMap inputs;
  for (const char *name : {"tokens", "targets"}) {
    PEER_TRY_ASSIGN(inputs[name], Tensor::zeros(DType::I32, {sequences * model.context}, name));
  }
  return inputs;
}

} // namespace peer::runtime
