//===- Linear.cpp - dense products ---===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

void nvptx::populateLinearPatterns(PatternSets sets) {}
