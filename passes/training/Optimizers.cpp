//===- Optimizers.cpp - what passes ask of an optimizer's attribute ------===//

#include "Optimizers.h"

using namespace mlir;
using namespace peer;

double peer::getClipNorm(Attribute optimizer) {
  if (auto adamw = dyn_cast<AdamWAttr>(optimizer))
    return adamw.getClipNorm().getValueAsDouble();
  return cast<SGDAttr>(optimizer).getClipNorm().getValueAsDouble();
}

FloatAttr peer::getLearningRate(Attribute optimizer) {
  if (auto adamw = dyn_cast<AdamWAttr>(optimizer))
    return adamw.getLearningRate();
  return cast<SGDAttr>(optimizer).getLearningRate();
}

SmallVector<StringRef> peer::getStateNames(Attribute optimizer) {
  if (isa<AdamWAttr>(optimizer))
    return {"m", "v"};
  if (getNumStates(optimizer) == 1)
    return {"momentum"};
  return {};
}
