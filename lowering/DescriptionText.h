//===- DescriptionText.h - what the parser would not survive -------------===//

#ifndef PEER_LOWERING_DESCRIPTIONTEXT_H
#define PEER_LOWERING_DESCRIPTIONTEXT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace peer {

/// The parser calls itself for what stands in brackets and for each sign of an expression, to any depth, and whoever walks
/// a type or an attribute for what its aliases stand for: that ends with the stack, or never. Such texts are refused before,
/// with a sentence that begins with FILE:LINE:COLUMN.
llvm::Error checkDescriptionText(llvm::StringRef text, llvm::StringRef file);

} // namespace peer

#endif // PEER_LOWERING_DESCRIPTIONTEXT_H
