//===- Pool.cpp - sorted pairs, the pool's gradient, updates, usage ---===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

void nvptx::populatePoolPatterns(PatternSets sets) {}
