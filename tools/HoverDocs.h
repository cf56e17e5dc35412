//===- HoverDocs.h - what an op means, where the mouse is ----------------===//

#ifndef PEER_TOOLS_HOVERDOCS_H
#define PEER_TOOLS_HOVERDOCS_H

#include "llvm/ADT/STLFunctionalExtras.h"

/// Runs a language server on standard input and output. Its answers about where the mouse is show an op in its generic form;
/// those about ops of this dialect get the op's documentation (formula, constraints, example) put before it. Returns what
/// `server` returns.
int withHoverDocs(llvm::function_ref<int()> server);

#endif // PEER_TOOLS_HOVERDOCS_H
