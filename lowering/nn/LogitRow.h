//===- LogitRow.h - the softmax of a token's logits ----------------------===//

#ifndef PEER_LOWERING_NN_LOGITROW_H
#define PEER_LOWERING_NN_LOGITROW_H

#include "Emit.h"

#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/RoutingBuilder.h"

namespace peer::nn {

/// The logits of a token, head and half.
struct LogitRow {
  LoopBuilder &b;
  mlir::Value logits, t, h;
  int64_t p, width;

  mlir::Value size() const { return b.dim(logits, 3); }
  mlir::Value score(mlir::Value at, int64_t lanes) const {
    return emitScore(b, b.load(logits, {t, h, b.index(p), at}, lanes));
  }
  mlir::Value highest() const {
    return b.maxStrips(size(), width, [&](mlir::Value at, int64_t lanes) { return score(at, lanes); });
  }
  /// exp(score - highest)
  mlir::Value term(mlir::Value at, int64_t lanes, mlir::Value highest) const {
    mlir::Value s = score(at, lanes);
    return emitGateTerm(b, GateKind::Softmax, s, highest, emitIsNone(b, s));
  }
  mlir::Value total(mlir::Value highest) const {
    return b.sumStrips(size(), width, [&](mlir::Value at, int64_t lanes) { return term(at, lanes, highest); });
  }
  /// 1 / the sum of the terms
  mlir::Value factor(mlir::Value highest) const { return emitSoftmaxFactor(b, total(highest)); }
};

/// Each token and head of a buffer that begins with them, as independent rows.
inline void forEachHead(LoopBuilder &b, mlir::Value buffer,
                        llvm::function_ref<void(mlir::Value t, mlir::Value h)> body) {
  mlir::Value heads = b.dim(buffer, 1);
  b.rows(b.mul(b.dim(buffer, 0), heads), [&](mlir::Value row) { body(b.div(row, heads), b.rem(row, heads)); });
}

} // namespace peer::nn

#endif // PEER_LOWERING_NN_LOGITROW_H
