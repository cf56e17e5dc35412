//===- Nearest.h - what a misspelt name was probably meant to be ---------===//

#ifndef PEER_DIALECT_NEAREST_H
#define PEER_DIALECT_NEAREST_H

#include "mlir/Support/LLVM.h"

#include <string>

namespace peer {

/// The known name that `given` is a slip of the pen for: the one of the smallest edit distance, if that is small for its
/// length or one of the two begins with the other. Empty where none is near.
llvm::StringRef findNearest(llvm::StringRef given, llvm::ArrayRef<llvm::StringRef> known);

/// What a message about the unknown name `given` ends with: "; did you mean 'NAME'?", or nothing.
std::string didYouMean(llvm::StringRef given, llvm::ArrayRef<llvm::StringRef> known);

/// Names separated by commas, but the last: "a, b and c".
std::string listNames(llvm::ArrayRef<llvm::StringRef> names, llvm::StringRef last = "and");

} // namespace peer

#endif // PEER_DIALECT_NEAREST_H
