//===- Quads.h - integers of 8 bits that are multiplied four at a time ---===//

#ifndef PEER_LOWERING_CPU_QUADS_QUADS_H
#define PEER_LOWERING_CPU_QUADS_QUADS_H

#include "lowering/cpu/PackedKeys.h"

namespace peer::cpu {

/// Words of four integers each, of which one instruction (`vpmaddubsw`) adds products of two and two in 16 bits.
///
/// It wants one side without signs: a key's integer c' is kept as c' + kOffset, and kOffset times the sum of a query's integers is taken off
/// each sum. The sums of kWords words are added before they are widened. Of integers in 1 .. 2 * kOffset - 1 no such sum overflows if
/// neither those of a query that are positive nor those that are negative add up to more than kMostSum there, so that is what a query
/// is scaled for: its integers are nearly as large as 8 bits allow, where a bound for any query would leave them 5.
struct Quads {
  static constexpr int64_t kWords = 4;
  static constexpr int64_t kOffset = 64, kMostKey = kOffset - 1, kMostQuery = 127;
  static constexpr int64_t kMostSum = 32767 / (kOffset + kMostKey);

  /// Whether vectors of so many lanes take this form.
  static bool areTaken(int64_t width) { return width == 8; }

  /// The words of a key's integers, `width` at a time: those of elements at .. at + width are the lowest bytes, of the next `width` the next.
  static Quantized emitKey(LoopBuilder &b, mlir::Value vector, int64_t d, int64_t width,
                           llvm::function_ref<void(mlir::Value at, mlir::Value words)> keep);
  /// The same of a query, and from what its sums begin (i32).
  static std::pair<Quantized, mlir::Value> emitQuery(LoopBuilder &b, mlir::Value vector, int64_t d, int64_t width,
                                                     llvm::function_ref<void(mlir::Value at, mlir::Value words)> keep);

  /// sum + the products of kWords words of some keys and a query, vectors of i32.
  static mlir::Value emitProducts(LoopBuilder &b, mlir::ValueRange keys, mlir::ValueRange query, mlir::Value sum);
};

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_QUADS_QUADS_H
