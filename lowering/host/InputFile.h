//===- InputFile.h - descriptions come from files and pipes --*- C++ -*-===//

#ifndef PEER_LOWERING_HOST_INPUTFILE_H
#define PEER_LOWERING_HOST_INPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

namespace peer {

/// Refuses devices, some of which never end; terminals and /dev/null may be read. `-` is standard input.
llvm::Error checkInput(llvm::StringRef path);

/// A description that checkInput() takes, under a name that can be shown. What comes through a pipe has at most 256 MiB.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> readInput(llvm::StringRef path);

/// The text with control bytes, which a terminal would obey, as \xNN.
std::string printable(llvm::StringRef text);

/// Refuses what cannot be a description, by its first bytes: the parser would print them. MLIR's bytecode may be one.
llvm::Error checkInputBytes(llvm::StringRef bytes, llvm::StringRef file);

} // namespace peer

#endif // PEER_LOWERING_HOST_INPUTFILE_H
