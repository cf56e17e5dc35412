//===- Emitters.cpp - what there is for each op on a GPU -----------------===//

#include "Emitters.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

Emitters::Emitters(const GpuInfo &gpu) : gpu(gpu) {
  for (auto add : {addRows,      addLosses,    addColumns,       addEmbeddingGrad,   addRotary, addElementwise,
                   addLinear,    addAttention, addAttentionGrad, addCachedAttention, addScore,  addRoute,
                   addScoreGrad, addRouteGrad, addRouteKeyGrad,  addGroupedMix,      addMix,    addPool,
                   addUpdate,    addCapacity,  addStateSpace})
    add(*this);
}

void Emitters::populateBlocks(RewritePatternSet &patterns) const {
  populateElementwisePatterns(patterns);
  for (const auto &add : blocks)
    add(patterns);
}

void Emitters::populateGrids(RewritePatternSet &patterns) const {
  for (const auto &add : grids)
    add(patterns);
}
