#include "Versions.h"

#include "CpuFeatures.h"
#include "artifact/demands.h"
#include "core/ListText.h"

#include <algorithm>

namespace peer::runtime {

namespace {
std::string namesOf(const std::vector<Version *> &versions) {
  std::vector<std::string> names;
  for (const Version *version : versions)
    names.push_back(version->cpu);
  return joined(names);
}
} // namespace

bool isMoreDemanding(const Version &one, const Version &other) {
  return format::demandsOf(one.features, one.cpu) > format::demandsOf(other.features, other.cpu);
}

Status chooseVersion(Manifest &manifest, const char *name, const std::string &path) {
  std::vector<Version *> all{&manifest};
  for (Version &other : manifest.others)
    all.push_back(&other);
  if (all.size() == 1) {
    std::vector<std::string> missing = missingCpuFeatures(manifest.features);
    return missing.empty()
               ? Status()
               : Status::error(path, " was compiled for CPU features this machine lacks: ", joined(missing));
  }
  std::ranges::sort(all, [](const Version *a, const Version *b) { return isMoreDemanding(*a, *b); });
  std::vector<Version *> wanted = all;
  if (name && *name)
    std::erase_if(wanted, [&](const Version *version) { return version->cpu != name; });
  if (wanted.empty())
    return Status::error(kVersionVariable, "=", name, ": ", path, " has code for ", namesOf(all));
  const Version *nearest = nullptr;
  std::vector<std::string> lacking;
  for (Version *version : wanted) {
    std::vector<std::string> missing = missingCpuFeatures(version->features);
    if (missing.empty()) {
      if (version != &manifest)
        std::swap<Version>(manifest, *version);
      return {};
    }
    if (!nearest || missing.size() < lacking.size()) {
      nearest = version;
      lacking = std::move(missing);
    }
  }
  return Status::error(path, " has code for ", namesOf(wanted), ", of which this machine can run none: for ",
                       nearest->cpu, " it lacks ", joined(lacking));
}

} // namespace peer::runtime
