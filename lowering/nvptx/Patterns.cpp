//===- Patterns.cpp - the emitters as rewrite patterns -------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;

void nvptx::populateBlockPatterns(RewritePatternSet &patterns) { populateElementwisePatterns(patterns); }

void nvptx::populateGridPatterns(RewritePatternSet &patterns) {}
