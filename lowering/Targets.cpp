//===- Targets.cpp - the targets there are -------------------------------===//

#include "Target.h"
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

} // namespace peer
