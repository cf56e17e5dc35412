//===- StandardOutput.h - what is printed arrives, or is told of -*- C++ -*-===//

#ifndef PEER_TOOLS_STANDARDOUTPUT_H
#define PEER_TOOLS_STANDARDOUTPUT_H

/// Makes the process say why standard output could not be written, and end with 1, when it exits with bytes that were not.
/// LLVM prints help and exits itself, and would call a full disk a bug of its own.
void reportUnwrittenOutput();

#endif // PEER_TOOLS_STANDARDOUTPUT_H
