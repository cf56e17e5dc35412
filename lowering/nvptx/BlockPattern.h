//===- BlockPattern.h - patterns that lower one op to GPU code -----------===//

#ifndef PEER_LOWERING_NVPTX_BLOCKPATTERN_H
#define PEER_LOWERING_NVPTX_BLOCKPATTERN_H

#include "BlockBuilder.h"

#include "mlir/IR/PatternMatch.h"

#include <functional>

namespace peer::nvptx {

/// Replaces an op inside a launch by the code that its block executes. `reject` says why an op is not taken, or is null;
/// it runs first, because a pattern that fails must not have emitted anything.
template <typename OpTy>
class BlockPattern : public mlir::OpRewritePattern<OpTy> {
public:
  using Emit = std::function<void(OpTy, BlockBuilder &)>;
  using Reject = const char *(*)(OpTy);

  BlockPattern(mlir::MLIRContext *context, Emit emit, Reject reject, unsigned benefit)
      : mlir::OpRewritePattern<OpTy>(context, benefit), emit(std::move(emit)), reject(reject) {}

  mlir::LogicalResult matchAndRewrite(OpTy op, mlir::PatternRewriter &rewriter) const override {
    auto launch = op->template getParentOfType<mlir::gpu::LaunchOp>();
    if (!launch || op->getNumResults() != 0)
      return rewriter.notifyMatchFailure(op, "not in buffer form inside a launch");
    if (const char *reason = reject ? reject(op) : nullptr)
      return rewriter.notifyMatchFailure(op, reason);
    BlockBuilder b(rewriter, op.getLoc(), launch);
    emit(op, b);
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  Emit emit;
  Reject reject;
};

/// The code of one op for a block that works on a tile, preferred to plain loops on one thread.
template <typename OpTy>
void addBlock(mlir::RewritePatternSet &patterns, void (*emit)(OpTy, BlockBuilder &),
              const char *(*reject)(OpTy) = nullptr) {
  patterns.add<BlockPattern<OpTy>>(patterns.getContext(), emit, reject, /*benefit=*/2);
}

/// Replaces an op that was left whole, in a kernel's host function, by launches whose grid its emitter chooses.
template <typename OpTy>
class GridPattern : public mlir::OpRewritePattern<OpTy> {
public:
  using Emit = void (*)(OpTy, LoopBuilder &);
  using Reject = const char *(*)(OpTy);

  GridPattern(mlir::MLIRContext *context, Emit emit, Reject reject)
      : mlir::OpRewritePattern<OpTy>(context), emit(emit), reject(reject) {}

  mlir::LogicalResult matchAndRewrite(OpTy op, mlir::PatternRewriter &rewriter) const override {
    if (op->template getParentOfType<mlir::gpu::LaunchOp>() || op->getNumResults() != 0)
      return rewriter.notifyMatchFailure(op, "not in buffer form outside of launches");
    if (const char *reason = reject ? reject(op) : nullptr)
      return rewriter.notifyMatchFailure(op, reason);
    LoopBuilder host(rewriter, op.getLoc());
    emit(op, host);
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  Emit emit;
  Reject reject;
};

template <typename OpTy>
void addGrid(mlir::RewritePatternSet &patterns, void (*emit)(OpTy, LoopBuilder &),
             const char *(*reject)(OpTy) = nullptr) {
  patterns.add<GridPattern<OpTy>>(patterns.getContext(), emit, reject);
}

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_BLOCKPATTERN_H
