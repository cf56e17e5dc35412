//===- Messages.cpp - what peer-opt says on standard error ---------------===//

#include "Messages.h"

#include "InputFile.h"

#include "llvm/Support/WithColor.h"

using namespace mlir;

namespace peer {

LogicalResult failWith(const llvm::Twine &sentence) {
  llvm::WithColor::error(llvm::errs(), "peer-opt") << printable(sentence.str()) << "\n";
  return failure();
}

LogicalResult failWith(llvm::Error error) { return failWith(llvm::toString(std::move(error))); }

void warnWith(const llvm::Twine &sentence) {
  llvm::WithColor::warning(llvm::errs(), "peer-opt") << printable(sentence.str()) << "\n";
}

} // namespace peer
