//===- PeerDialect.td - the peer dialect ---------------------------------===//
//
// Layers of very many, very small experts: scoring, selecting, gating and
// mixing as ops, at every level from a model description to tiles.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_DIALECT_TD
#define PEER_DIALECT_TD

include "mlir/IR/OpBase.td"

def Peer_Dialect : Dialect {
  let name = "peer";
  let cppNamespace = "::peer";
  let summary = "Layers with very many, very small experts";
  let description = [{
    Four routing ops (`score`, `select`, `gate`, `mix`) say what every layer of
    this field says: score the experts, select some, gate them, mix their
    outputs. Beside them stand their gradients, the few ops of a language model
    that upstream lacks, and the ops of a model description (`param`, `call`,
    `repeat`, `train`, `decode`, `gradient`).

    Graph ops have a value form on tensors and, after bufferization, a buffer
    form that writes to `outs`; the semantics are the same.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

#endif // PEER_DIALECT_TD
