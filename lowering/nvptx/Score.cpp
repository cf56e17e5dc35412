//===- Score.cpp - score, select, gate, fused and apart ---===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

void nvptx::populateScorePatterns(PatternSets sets) {}
