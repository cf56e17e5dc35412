//===- Emitters.h - what there is for each op on a CPU -------------------===//
//
// One record per op, written in the file of its emitter: what emits the op's code, what it leaves to the plain loops and why,
// and how the op is cut into tiles. Lowering patterns and tile sizes are both made of the records.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_EMITTERS_H
#define PEER_LOWERING_EMIT_EMITTERS_H

#include "BufferPattern.h"
#include "TileTable.h"

namespace peer {

struct VectorOptions {
  /// Lanes of f32 in one vector; a power of two.
  int64_t width = 16;
  /// Whether code may multiply tiles of bf16 where the process is allowed to.
  bool tiles = false;
  /// Whether an instruction sums four products of integers of 8 bits.
  bool dots = false;
};

/// Vector code of a routing op.
template <typename OpTy>
struct VectorEmitter {
  void (*emit)(OpTy op, LoopBuilder &b, const VectorOptions &options);
  /// Why the op is left to the plain loops, or null.
  const char *(*reject)(OpTy op) = nullptr;
  /// None: the op is left whole, and its emitter makes its own parallel loops.
  std::optional<TileSizes> (*tileSizes)(OpTy op) = nullptr;
  /// In remarks.
  llvm::StringLiteral name = remarks::kVectors;
  /// Asked before the op's other record, which has the tile sizes of both.
  bool first = false;
  /// In remarks: why it is this emitter that takes an op, where there are several.
  std::string (*why)(OpTy op) = nullptr;
};

/// The loops of an op at every width: scalar ones without library calls at width 1, vectors of so many lanes above.
template <typename OpTy>
struct WidthEmitter {
  void (*emit)(LoopBuilder &b, OpTy op, int64_t width);
  std::optional<TileSizes> (*tileSizes)(OpTy op) = nullptr;
};

/// Why vectors cannot be loaded along the last dimension of an op's operands, or null.
const char *rejectStridedRows(mlir::Operation *op);

/// Plain loops of all ops, for every target, and the vector code and the tile sizes of CPUs.
class LoopEmitters {
public:
  template <typename OpTy>
  void loops(void (*emit)(OpTy op, LoopBuilder &b)) {
    plainPatterns.push_back([emit](mlir::RewritePatternSet &patterns) {
      patterns.add<BufferPattern<OpTy>>(patterns.getContext(), remarks::kPlainLoops, emit, nullptr, /*benefit=*/1);
    });
  }

  template <typename OpTy>
  void vectors(VectorEmitter<OpTy> record) {
    vectorPatterns.push_back([record](mlir::RewritePatternSet &patterns, const VectorOptions &options) {
      auto emit = [emit = record.emit, options](OpTy op, LoopBuilder &b) { emit(op, b, options); };
      patterns.add<BufferPattern<OpTy>>(patterns.getContext(), record.name, emit, record.reject,
                                        /*benefit=*/record.first ? 3 : 2, record.why);
    });
    tiled<OpTy>(record.tileSizes);
  }

  template <typename OpTy>
  void everyWidth(WidthEmitter<OpTy> record) {
    auto atWidth = [emit = record.emit](int64_t width) {
      return [emit, width](OpTy op, LoopBuilder &b) { emit(b, op, width); };
    };
    plainPatterns.push_back([atWidth](mlir::RewritePatternSet &patterns) {
      patterns.add<BufferPattern<OpTy>>(patterns.getContext(), remarks::kPlainLoops, atWidth(1), nullptr,
                                        /*benefit=*/1);
    });
    vectorPatterns.push_back([atWidth](mlir::RewritePatternSet &patterns, const VectorOptions &options) {
      patterns.add<BufferPattern<OpTy>>(patterns.getContext(), remarks::kVectors, atWidth(options.width),
                                        rejectStridedRows, /*benefit=*/2);
    });
    tiled<OpTy>(record.tileSizes);
  }

  void elementwiseTiles(int64_t (*rows)(mlir::linalg::LinalgOp op)) { tiles.setElementwise(rows); }

  void populateLoops(mlir::RewritePatternSet &patterns) const;
  /// Plain loops, too, for what no vector code takes.
  void populateVectors(mlir::RewritePatternSet &patterns, const VectorOptions &options) const;
  TileSizeModel tileSizes() const { return tiles.model(); }

private:
  template <typename OpTy>
  void tiled(std::optional<TileSizes> (*sizes)(OpTy op)) {
    if (sizes)
      tiles.add(OpTy::getOperationName(), [sizes](mlir::Operation *op) { return sizes(mlir::cast<OpTy>(op)); });
  }

  std::vector<std::function<void(mlir::RewritePatternSet &)>> plainPatterns;
  std::vector<std::function<void(mlir::RewritePatternSet &, const VectorOptions &)>> vectorPatterns;
  TileTable tiles;
};

/// What plain/, nn/ and cpu/ have: made once.
const LoopEmitters &getLoopEmitters();

} // namespace peer

#endif // PEER_LOWERING_EMIT_EMITTERS_H
