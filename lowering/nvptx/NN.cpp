//===- NN.cpp - nn: norms, embedding, activation, losses, rotary positions ---===//

#include "Kernels.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

void nvptx::populateNNPatterns(PatternSets sets) {}
