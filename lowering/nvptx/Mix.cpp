//===- Mix.cpp - mix and its token pass ---===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

void nvptx::populateMixPatterns(PatternSets sets) {}
