//===- BufferPattern.h - patterns that lower one op in buffer form -------===//

#ifndef PEER_LOWERING_EMIT_BUFFERPATTERN_H
#define PEER_LOWERING_EMIT_BUFFERPATTERN_H

#include "LoopBuilder.h"
#include "passes/Remarks.h"

#include <functional>

namespace peer {

/// Replaces an op without results by the loops that `emit` writes before it. `reject` says why an op is not taken,
/// or is null; it runs first, because a pattern that fails must not have emitted anything.
template <typename OpTy>
class BufferPattern : public mlir::OpRewritePattern<OpTy> {
public:
  using Reject = std::function<const char *(OpTy)>;
  using Emit = std::function<void(OpTy, LoopBuilder &)>;
  using Why = std::function<std::string(OpTy)>;

  /// `name` is the emitter's in remarks; `why` says there why it takes an op.
  BufferPattern(mlir::MLIRContext *context, llvm::StringLiteral name, Emit emit, Reject reject, unsigned benefit,
                Why why = nullptr)
      : mlir::OpRewritePattern<OpTy>(context, benefit), name(name), emit(std::move(emit)), reject(std::move(reject)),
        why(std::move(why)) {}

  mlir::LogicalResult matchAndRewrite(OpTy op, mlir::PatternRewriter &rewriter) const override {
    if (op->getNumResults() != 0)
      return rewriter.notifyMatchFailure(op, "not in buffer form");
    if (const char *reason = reject ? reject(op) : nullptr) {
      remarks::left(op, name, reason);
      return rewriter.notifyMatchFailure(op, reason);
    }
    remarks::taken(op, name, why ? why(op) : "");
    LoopBuilder b(rewriter, op.getLoc());
    emit(op, b);
    rewriter.eraseOp(op);
    return mlir::success();
  }

private:
  llvm::StringLiteral name;
  Emit emit;
  Reject reject;
  Why why;
};

} // namespace peer

#endif // PEER_LOWERING_EMIT_BUFFERPATTERN_H
