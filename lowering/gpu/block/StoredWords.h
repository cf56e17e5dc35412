//===- StoredWords.h - what a lane reads of a vector in fewer bits --------===//

#ifndef PEER_LOWERING_GPU_BLOCK_STOREDWORDS_H
#define PEER_LOWERING_GPU_BLOCK_STOREDWORDS_H

#include "BlockBuilder.h"

#include "lowering/emit/StoredTable.h"

namespace peer::device {

/// Some neighbouring bytes of a row of a rank-2 table with scales, in registers: one access.
class StoredWords {
public:
  using Value = mlir::Value;

  /// Bytes that an access covers where it begins at their multiples: the most that rows allow, up to `most`, of 16, 8, 4 and 1.
  static int64_t width(const StoredTable &table, int64_t most);

  /// `at` is the element that the first byte holds, or one of two.
  StoredWords(BlockBuilder &b, const StoredTable &table, Value row, Value at, int64_t width);

  /// As f32, as many elements as bytes. Where two are a byte, those in its lower or upper four bits.
  Value half(int64_t upper) const;
  /// Where two are a byte, those of the half that holds the element at `at`.
  Value halfOfAt() const;
  /// Of the elements, which are of one group.
  Value scale() const;
  /// halfOfAt() times scale().
  Value scaled() const;

private:
  Value widen(Value shift) const;

  BlockBuilder &b;
  const StoredTable &table;
  Value row, at, bytes;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_STOREDWORDS_H
