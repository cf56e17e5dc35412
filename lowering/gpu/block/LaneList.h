//===- LaneList.h - sorted lists spread over the lanes of a warp ---------===//
//
// A list of 2^m entries lies in a group of as many neighbouring lanes, at most a warp, one entry or more per lane: entry
// r * lanes + i is register r of the group's lane i. A warp holds the lists of 32 / lanes groups, which all its methods
// treat at once; all lanes of the warp must reach them.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_LANELIST_H
#define PEER_LOWERING_GPU_BLOCK_LANELIST_H

#include "BlockBuilder.h"

#include "lowering/emit/RoutingBuilder.h"

namespace peer::device {

/// What one register of a list holds: scalars of 32 bits.
using Entry = Values;
/// A lane's part of a list, register by register.
using Entries = llvm::SmallVector<Entry>;

/// Entries of a list that is to hold `least`: smaller groups would leave more lists to a warp than a block has rows for.
inline int64_t listSize(int64_t least) { return std::max<int64_t>(8, llvm::PowerOf2Ceil(least)); }

/// How lists of this size lie in a warp, and the operations on them.
class LaneList {
public:
  /// Whether x comes before y: a strict order, in which entries that differ differ.
  using Precedes = std::function<mlir::Value(const Entry &x, const Entry &y)>;

  /// Lists of listSize(least) entries.
  LaneList(BlockBuilder &b, int64_t least, Precedes precedes);

  int64_t size() const { return entries; }
  int64_t lanes() const { return std::min(entries, kWarpSize); }
  int64_t registers() const { return entries / lanes(); }
  /// Lists that a warp holds.
  int64_t groups() const { return kWarpSize / lanes(); }

  /// Index values: which list of the warp, and the place in its group; the number of the entry in register `r`.
  mlir::Value group() const { return groupIndex; }
  mlir::Value member() const { return memberIndex; }
  mlir::Value number(int64_t r) const;

  /// All registers holding this entry.
  Entries filled(const Entry &entry) const { return Entries(registers(), entry); }
  /// Sorts lists of any order, the first in the order of `precedes` first.
  void sort(Entries &list) const;
  /// Of two sorted lists the first size() entries, sorted.
  void merge(Entries &list, const Entries &other) const;
  /// The entry with this number, in every lane of the group.
  Entry at(const Entries &list, int64_t number) const;
  /// The value of a lane (index) of the group, in all of them.
  mlir::Value from(mlir::Value v, mlir::Value lane) const;
  /// The bits of the group in a ballot, the group's first lane lowest (i32).
  mlir::Value bits(mlir::Value condition) const;
  /// How many of `bits` belong to lanes before this one (i32).
  mlir::Value rank(mlir::Value bits) const;
  mlir::Value population(mlir::Value bits) const;
  /// The sum over the lanes of the group, in a fixed order.
  mlir::Value sum(mlir::Value v) const;

private:
  void exchange(Entries &list, int64_t stride, int64_t block) const;

  BlockBuilder &b;
  Precedes precedes;
  int64_t entries;
  mlir::Value groupIndex, memberIndex, memberNumber, firstLane;
};

/// Whether any lane's condition holds: the same in all lanes.
mlir::Value emitAny(BlockBuilder &b, mlir::Value condition);
/// An if with results.
Values emitIf(LoopBuilder &b, mlir::Value condition, llvm::function_ref<Values()> then,
              llvm::function_ref<Values()> otherwise);

/// Lists back to back: registers of list after list as one range of loop-carried values, and back.
Values toValues(const Entries &list);
Entries toEntries(mlir::ValueRange values, int64_t width);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_LANELIST_H
