//===- Patterns.cpp - the emitters as rewrite patterns -------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

static void populateAll(PatternSets sets) {
  populateNNPatterns(sets);
  populateLinearPatterns(sets);
  populateAttentionPatterns(sets);
  populateScorePatterns(sets);
  populateMixPatterns(sets);
  populateRouteGradPatterns(sets);
  populatePoolPatterns(sets);
}

void device::populateBlockPatterns(RewritePatternSet &patterns) {
  populateElementwisePatterns(patterns);
  populateAll({&patterns, nullptr});
}

void device::populateGridPatterns(RewritePatternSet &patterns) { populateAll({nullptr, &patterns}); }
