//===- KeptRanks.h - how many of a row's best a policy keeps -------------===//
//
// A policy of varying counts is a ranking, which is made as that of topk, and a cut. The cut is here, once for scalars, vectors
// and warps.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_KEPTRANKS_H
#define PEER_LOWERING_EMIT_KEPTRANKS_H

#include "LoopBuilder.h"

namespace peer {

/// The buffers of a selection whose scores have been ranked.
struct Ranking {
  SelectPolicyAttrInterface policy;
  mlir::Value logits, idx, val, threshold; // threshold: null where the policy has its number

  template <typename Op>
  explicit Ranking(Op op)
      : policy(op.getPolicy()), logits(op.getLogits()), idx(op.getIdx()), val(op.getVal()),
        threshold(op.getThreshold()) {}
};

/// Empties the slots of idx[t, h, :] and val[t, h, :] that the policy does not keep: emitKeptRanks, then emitEmptySlots.
void emitCut(LoopBuilder &b, const Ranking &ranking, mlir::Value t, mlir::Value h, int64_t width);
/// How many (index) of the ranked scores in val[t, h, :] the policy keeps. Null if it keeps them all.
mlir::Value emitKeptRanks(LoopBuilder &b, const Ranking &ranking, mlir::Value t, mlir::Value h, int64_t width);
/// Empties the slots of idx[t, h, :] and val[t, h, :] from `kept` on.
void emitEmptySlots(LoopBuilder &b, const Ranking &ranking, mlir::Value t, mlir::Value h, mlir::Value kept);

} // namespace peer

#endif // PEER_LOWERING_EMIT_KEPTRANKS_H
