//===- Attention.cpp - attention and its gradient ---===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

void nvptx::populateAttentionPatterns(PatternSets sets) {}
