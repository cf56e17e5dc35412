//===- InputFile.h - descriptions come from files and pipes --*- C++ -*-===//

#ifndef PEER_LOWERING_HOST_INPUTFILE_H
#define PEER_LOWERING_HOST_INPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace peer {

/// Refuses devices, some of which never end; terminals and /dev/null may be read. `-` is standard input.
llvm::Error checkInput(llvm::StringRef path);

/// Refuses what cannot be a description, by its first bytes: the parser would print them. MLIR's bytecode may be one.
llvm::Error checkInputBytes(llvm::StringRef bytes, llvm::StringRef file);

} // namespace peer

#endif // PEER_LOWERING_HOST_INPUTFILE_H
