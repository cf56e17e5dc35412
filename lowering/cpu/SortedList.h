//===- SortedList.h - a sorted list in vector registers ------------------===//

#ifndef PEER_LOWERING_CPU_SORTEDLIST_H
#define PEER_LOWERING_CPU_SORTEDLIST_H

#include "lowering/emit/RoutingBuilder.h"

namespace peer::cpu {

/// Lanes of a list of k: a power of two, at least one vector of four.
int64_t listLanes(int64_t k, int64_t width);

/// 0, 1, 2, ... as i32.
mlir::Value emitIota(LoopBuilder &b, int64_t lanes);
mlir::Value emitLane(LoopBuilder &b, mlir::Value vector, int64_t lane);
/// `count` lanes from `from` on, as a vector.
mlir::Value emitLanes(LoopBuilder &b, mlir::Value vector, int64_t from, int64_t count);

/// Conditions that are known, as a vector.
mlir::Value emitConditions(LoopBuilder &b, llvm::ArrayRef<bool> conditions);
/// A vector of up to 64 conditions as the bits of an i64, lane 0 lowest.
mlir::Value emitBits(LoopBuilder &b, mlir::Value conditions);
mlir::Value emitShiftLeft(LoopBuilder &b, mlir::Value bits, int64_t by);
mlir::Value emitPopulation(LoopBuilder &b, mlir::Value bits);
/// A loop over the positions (index) of the bits set, lowest first.
Values forEachBit(LoopBuilder &b, mlir::Value bits, mlir::ValueRange carried,
                  llvm::function_ref<Values(mlir::Value position, mlir::ValueRange carried)> body);

/// Inserts (score, index) into the list (scores, indices), descending, behind equal scores; the last entry falls out. A
/// score of -inf may or may not get in: lists begin with those.
Values insertScore(LoopBuilder &b, mlir::ValueRange list, mlir::Value score, mlir::Value index);
/// Inserts a candidate into the list (sums, rests, experts), in the order of selections.
Values insertCandidate(LoopBuilder &b, mlir::ValueRange list, const Candidate &candidate);

/// Sorts lanes of which first ones are in the order of selections and the rest is against it, or the other way round.
Candidate sortBitonic(LoopBuilder &b, Candidate list, bool descending);
/// The first of two lists of as many lanes: one in the order of selections, and one against it.
Candidate mergeCandidates(LoopBuilder &b, const Candidate &list, const Candidate &reversed);

/// Sorts the lanes of each vector, a power of two, in descending order; or merges those of bitonic ones. As each step waits for the one
/// before, several vectors take little longer than one.
void sortLanes(LoopBuilder &b, llvm::MutableArrayRef<mlir::Value> vectors, bool areBitonic);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_SORTEDLIST_H
