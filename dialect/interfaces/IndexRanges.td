//===- IndexRanges.td - which operands are indices -----------------------===//

#ifndef PEER_INDEX_RANGES_TD
#define PEER_INDEX_RANGES_TD

include "mlir/IR/OpBase.td"

def Peer_IndexingOpInterface : OpInterface<"IndexingOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op some of whose integers choose what it reads or writes. It does not check
    them: passes at the graph level prove that they are in range, or see to it.
    Attached by external models (IndexRanges.cpp).
  }];
  let methods = [
    InterfaceMethod<"The half-open interval that the integers of an operand must lie in, if they are indices.",
      "std::optional<::peer::IndexRange>", "getIndexRange", (ins "unsigned":$operand)>
  ];
}

#endif // PEER_INDEX_RANGES_TD
