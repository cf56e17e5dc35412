//===- AttrBase.td - what all attributes share ---------------------------===//

#ifndef PEER_ATTR_BASE_TD
#define PEER_ATTR_BASE_TD

include "dialect/PeerDialect.td"
include "dialect/interfaces/AttrInterfaces.td"
include "mlir/IR/AttrTypeBase.td"

class Peer_Attr<string name, string mnem, list<Trait> traits = []> : AttrDef<Peer_Dialect, name, traits> {
  let mnemonic = mnem;
}

/// An operand attribute of any class that answers the interface.
class Peer_AnyOf<AttrInterface interface, string summary> : Attr<interface.predicate, summary> {
  let storageType = interface.storageType;
  let returnType = interface.returnType;
  let convertFromStorage = "$_self";
}

#endif // PEER_ATTR_BASE_TD
