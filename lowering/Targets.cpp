//===- Targets.cpp - the targets there are -------------------------------===//

#include "Target.h"
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
  return createStringError("unknown target '" + name + "'; known are " + known);
}

} // namespace peer
