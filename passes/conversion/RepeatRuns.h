//===- RepeatRuns.h - a repeat, iteration by iteration -------------------===//

#ifndef PEER_PASSES_CONVERSION_REPEATRUNS_H
#define PEER_PASSES_CONVERSION_REPEATRUNS_H

#include "dialect/PeerOps.h"

namespace peer {

/// Builds repeats in the place of one: iterations that count on and call the same function stay one repeat.
class RepeatRuns {
public:
  explicit RepeatRuns(RepeatOp whole) : builder(whole), values(whole.getInputs()), whole(whole) {}

  /// One more iteration.
  void append(int64_t number, llvm::StringRef callee);
  /// What is appended next begins a repeat.
  void cut() { last = {}; }
  /// Everything is there: it takes the place of the repeat.
  void finish();

  /// At the end of what is built, and what is handed on there.
  mlir::OpBuilder builder;
  llvm::SmallVector<mlir::Value> values;

private:
  RepeatOp whole, last;
};

} // namespace peer

#endif // PEER_PASSES_CONVERSION_REPEATRUNS_H
