#include "Manifest.h"

#include "artifact/format.h"

#include <algorithm>
#include <iterator>

namespace peer::runtime {

std::string_view roleName(Role role) {
  static constexpr std::string_view names[] = {format::role::kInput, format::role::kParameter, format::role::kState,
                                               format::role::kUsage, format::role::kScalar,    format::role::kDerived};
  return names[static_cast<size_t>(role)];
}

std::string_view entryKindName(EntryKind kind) {
  static constexpr std::string_view names[] = {
      format::kind::kForward,    format::kind::kGradient,  format::kind::kLoss,    format::kind::kTrain,
      format::kind::kAccumulate, format::kind::kUpdate,    format::kind::kPrefill, format::kind::kDecode,
      format::kind::kBackward,   format::kind::kRowUpdate, format::kind::kRowNorm, format::kind::kDerive};
  return names[static_cast<size_t>(kind)];
}

namespace {
template <typename List>
auto *findByName(List &list, std::string_view name) {
  auto found = std::find_if(list.begin(), list.end(), [&](const auto &item) { return item.name == name; });
  return found == list.end() ? nullptr : &*found;
}
} // namespace

const Argument *Entry::findArgument(std::string_view argument) const { return findByName(arguments, argument); }
const ResultInfo *Entry::findResult(std::string_view result) const { return findByName(results, result); }
const Parameter *Manifest::findParameter(std::string_view name) const { return findByName(parameters, name); }
const Group *Manifest::findGroup(std::string_view name) const { return findByName(groups, name); }
const Entry *Manifest::findEntry(std::string_view name) const { return findByName(entries, name); }

const Entry *Manifest::findEntry(EntryKind kind) const {
  auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry &entry) { return entry.kind == kind; });
  return found == entries.end() ? nullptr : &*found;
}

Result<const Entry *> Manifest::requireEntry(std::string_view name, const std::string &path) const {
  if (const Entry *entry = findEntry(name))
    return entry;
  std::string known;
  for (const Entry &entry : entries)
    known += (known.empty() ? "" : ", ") + entry.name;
  return Status::error(path, " has no entry \"", name, "\" (it has: ", known, ")");
}

} // namespace peer::runtime
