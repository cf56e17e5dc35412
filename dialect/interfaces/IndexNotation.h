//===- IndexNotation.h - how loops walk an op's operands -----------------===//
//
// The parsed form of GraphOpInterface::getIndexNotation().
//
//===----------------------------------------------------------------------===//

#ifndef PEER_DIALECT_INTERFACES_INDEXNOTATION_H
#define PEER_DIALECT_INTERFACES_INDEXNOTATION_H

#include "dialect/PeerOps.h"

#include "llvm/Support/Error.h"

namespace peer {

/// One loop of an op. Its trip count is the size of dimension `dim` of input
/// `input`, divided by `scale`.
struct IndexLoop {
  char name;
  bool tileable;
  unsigned input;
  unsigned dim;
  int64_t scale;
};

/// How one dimension of an operand is walked: taken whole (`loop` is -1), or
/// `scale` elements per step of `loop`.
struct IndexDim {
  int loop = -1;
  int64_t scale = 1;
};

using IndexDims = llvm::SmallVector<IndexDim, 6>;

/// The loops of an op and its view of each input and output, tied ones included.
struct IndexNotation {
  llvm::SmallVector<IndexLoop> loops;
  llvm::SmallVector<IndexDims> inputs;
  llvm::SmallVector<IndexDims> outputs;

  /// Parses `t h p ., h p . . -> t h p .`. An empty string yields no loop, no
  /// input and no output.
  static llvm::Expected<IndexNotation> parse(llvm::StringRef text);

  /// The notation of `op`, checked against its operands: a mismatch is a bug in
  /// the op's definition. An empty notation becomes whole dimensions only.
  static IndexNotation of(GraphOpInterface op);

  /// Positions in `loops` of the loops that may be tiled, in order.
  llvm::SmallVector<unsigned> tileableLoops() const;

  /// Whether a tile takes `dim`, of an operand with `type`, whole: `.`, an
  /// upper-case letter, or a broadcast dimension of static size 1.
  bool isWhole(const IndexDim &dim, int64_t staticSize) const;
};

/// Number of operands that are not outs.
unsigned getNumInputs(GraphOpInterface op);

/// Number of outputs, also where the op is in buffer form and has no results.
unsigned getNumOutputs(GraphOpInterface op);

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_INDEXNOTATION_H
