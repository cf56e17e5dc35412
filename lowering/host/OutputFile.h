//===- OutputFile.h - files that are whole or as they were ---------------===//

#ifndef PEER_LOWERING_HOST_OUTPUTFILE_H
#define PEER_LOWERING_HOST_OUTPUTFILE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace peer {

/// An error where writing to `output` would replace the file that is read, by whatever link or spelling it is named.
/// `input` is a path, or `-` for standard input.
llvm::Error checkOutput(llvm::StringRef output, llvm::StringRef input);

/// Lets `write` fill a file beside `path` (it is given its name and its descriptor), then puts it in the place of `path`: with the mode, and
/// where that is permitted the owner, of the file that was there. Where `write` returns an error, `path` stays as it was.
llvm::Error replaceFile(llvm::StringRef path, llvm::function_ref<llvm::Error(llvm::StringRef, int)> write);

/// Whether `path` is written in place because it is no regular file: standard output (`-` or nothing), a device, a pipe.
bool isStream(llvm::StringRef path);

/// Writes all bytes to a stream, or replaces a file by them.
llvm::Error writeOutput(llvm::StringRef path, llvm::StringRef bytes);

} // namespace peer

#endif // PEER_LOWERING_HOST_OUTPUTFILE_H
