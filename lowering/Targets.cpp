//===- Targets.cpp - the targets there are -------------------------------===//

#include "Target.h"
#include "artifact/format.h"
#include "dialect/Names.h"
#include "dialect/Nearest.h"
#include "lowering/host/HostTarget.h"
#include "lowering/nvidia/NvidiaTarget.h"

using namespace llvm;

namespace peer {

ArrayRef<TargetFamily> getTargetFamilies() {
  static const TargetFamily families[] = {getHostFamily(), getNvidiaFamily()};
  return families;
}

Expected<std::unique_ptr<Target>> createTarget(StringRef name, const TargetOptions &options) {
  std::string known;
  for (const TargetFamily &family : getTargetFamilies()) {
    if (family.takes(name))
      return family.create(name, options);
    known += (known.empty() ? "" : ", and ") + family.names.str();
  }
  // Who writes gpu means no cpu.
  std::string nearest = didYouMean(name == "gpu" ? "" : name, {"cpu", "sm_80", "sm_90", "sm_90a", "sm_100"});
  return createStringError("unknown target " + quote(name) + "; known are " + known + nearest);
}

Expected<std::vector<std::unique_ptr<Target>>> createTargets(StringRef name, const TargetOptions &options) {
  auto [family, list] = name.split(':');
  SmallVector<StringRef> parts;
  list.split(parts, '+');
  std::vector<std::unique_ptr<Target>> targets;
  SmallVector<json::Value> demands;
  for (StringRef part : parts) {
    if (part.empty() && parts.size() > 1)
      return createStringError("the target " + quote(name) + " has an empty name before or behind a +");
    auto target = createTarget(parts.size() > 1 ? (family + ":" + part).str() : name, options);
    if (!target)
      return target.takeError();
    json::Object described = (*target)->describe();
    const json::Value *needed = described.get(format::key::kFeatures);
    if (auto same = needed ? find(demands, *needed) : demands.end(); same != demands.end()) {
      options.warn(part + " needs the same of a CPU as " + targets[same - demands.begin()]->name() +
                   ", which is compiled alone");
      continue;
    }
    demands.push_back(needed ? *needed : json::Value(nullptr));
    targets.push_back(std::move(*target));
  }
  return targets;
}

} // namespace peer
