//===- EntrySignature.h - what an artifact exports --------------------------------===//

#ifndef PEER_LOWERING_ENTRYSIGNATURE_H
#define PEER_LOWERING_ENTRYSIGNATURE_H

#include <string>

namespace peer {

/// An exported function and how many arguments and results it has. `name` is what a person calls it, `function` its name in
/// the module, `symbol` that of the exported code.
struct EntrySignature {
  std::string name, function, symbol;
  unsigned numArguments, numResults;
};

} // namespace peer

#endif // PEER_LOWERING_ENTRYSIGNATURE_H
