//===- Patterns.cpp - the emitters as rewrite patterns -------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

static void populateAll(PatternSets sets) {
  populateNNPatterns(sets);
  populateLinearPatterns(sets);
  populateAttentionPatterns(sets);
  populateScorePatterns(sets);
  populateMixPatterns(sets);
  populateRouteGradPatterns(sets);
  populatePoolPatterns(sets);
}

void nvptx::populateBlockPatterns(RewritePatternSet &patterns) {
  populateElementwisePatterns(patterns);
  populateAll({&patterns, nullptr});
}

void nvptx::populateGridPatterns(RewritePatternSet &patterns) { populateAll({nullptr, &patterns}); }
