//===- Names.h - what tensors, groups and entries may be called ----------===//
//
// Names go into the artifact's manifest, into safetensors files and onto the
// terminal. All three are UTF-8; none may be surprised by what is in one.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_DIALECT_NAMES_H
#define PEER_DIALECT_NAMES_H

#include "mlir/Support/LLVM.h"

#include <string>

namespace peer {

/// Bytes of the longest name; `peer.call` can join names of any length to longer ones.
constexpr size_t kLongestName = 1024;

/// Why `name` cannot be the name of a tensor, a group or an entry, such as "it is empty" or "it holds a space": it is neither
/// empty nor longer than kLongestName, and printable UTF-8 without spaces. Empty where it can be one.
std::string findFault(llvm::StringRef name);

/// As findFault, for what is stored in a safetensors file, where `__metadata__` is no tensor.
std::string findTensorFault(llvm::StringRef name);
/// As findTensorFault, for a parameter: a checkpoint keeps optimizer states under names that begin with `state:`.
std::string findParameterFault(llvm::StringRef name);
/// As findFault, for a group of parameters: options name one in GROUP=VALUE.
std::string findGroupFault(llvm::StringRef name);

/// 'name', with what a terminal should not be sent as \XX in hexadecimal, and the middle of a long one left out.
std::string quote(llvm::StringRef name);

} // namespace peer

#endif // PEER_DIALECT_NAMES_H
