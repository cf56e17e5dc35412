//===- Quads.h - integers of 8 bits that are multiplied four at a time ---===//

#ifndef PEER_LOWERING_CPU_QUADS_QUADS_H
#define PEER_LOWERING_CPU_QUADS_QUADS_H

#include "lowering/cpu/PackedKeys.h"

namespace peer::cpu {

/// Words of four integers each. Instructions that multiply them want one side without signs: a key's integer c' is kept as c' + offset(), and
/// that times the sum of a query's integers is taken off each sum.
///
/// One instruction (`vpdpbusd`) adds all products of a word in 32 bits. A CPU without it adds products of two and two in 16 bits
/// (`vpmaddubsw`), and those of kTogether words before they are widened. No such sum overflows if neither those of a query's integers that
/// are positive nor those that are negative add up to more than mostSum() there, so that is what a query is scaled for: its integers are
/// nearly as large as 8 bits allow, where a bound for any query would leave them 5.
class Quads {
public:
  /// Whether keys of d elements take this form: what fills the last vectors up costs too much where vectors are wide.
  static bool areTaken(int64_t d, int64_t width) { return width == 8 || d % (4 * width) == 0; }

  /// `dots`: the CPU has the one instruction.
  Quads(int64_t d, int64_t width, bool dots) : d(d), width(width), dots(dots) {}

  /// Words whose products are formed at once.
  static constexpr int64_t kTogether = 4;
  int64_t together() const { return dots ? 1 : kTogether; }

  /// The words of a key's integers, `width` at a time: those of elements at .. at + width are the lowest bytes, of the next `width` the next.
  Quantized emitKey(LoopBuilder &b, mlir::Value vector,
                    llvm::function_ref<void(mlir::Value at, mlir::Value words)> keep) const;
  /// The same of a query, and from what its sums begin (i32).
  std::pair<Quantized, mlir::Value> emitQuery(LoopBuilder &b, mlir::Value vector,
                                              llvm::function_ref<void(mlir::Value at, mlir::Value words)> keep) const;

  /// sum + the products of `together()` words of some keys and a query, vectors of i32.
  mlir::Value emitProducts(LoopBuilder &b, mlir::ValueRange keys, mlir::ValueRange query, mlir::Value sum) const;

private:
  int64_t offset() const { return dots ? 128 : 64; }
  int64_t mostKey() const { return offset() - 1; }
  int64_t mostSum() const { return 32767 / (offset() + mostKey()); }
  mlir::Value emitLargestSum(LoopBuilder &b, mlir::Value vector) const;
  std::pair<Quantized, mlir::Value> emitWords(LoopBuilder &b, mlir::Value vector, mlir::Value fits, mlir::Value scale,
                                              int64_t added,
                                              llvm::function_ref<void(mlir::Value at, mlir::Value words)> keep) const;

  int64_t d, width;
  bool dots;
};

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_QUADS_QUADS_H
