//===- Manifest.h - what an artifact says about itself -------------------===//

#ifndef PEER_LOWERING_MANIFEST_H
#define PEER_LOWERING_MANIFEST_H

#include "Target.h"

#include "llvm/ADT/StringMap.h"

namespace peer {

/// The manifest (runtime/README.md) of a module at the tiled level, and the signatures of its entries.
struct Manifest {
  llvm::json::Object root;
  std::vector<EntrySignature> entries;

  /// Adds what is its own in that of another version of the same model, whose parameters must be the same.
  llvm::Error addVersion(Manifest other);
  std::string text() const;
};

/// What is known of a public function at the graph level alone.
struct GraphFacts {
  /// What it computes, as a hash of its text: equal descriptions have equal ones for all targets, and places in a file and names of files play
  /// no part.
  std::string fingerprint;
  /// Values of parameters that one token uses, at most; of functions of the forward direction.
  std::optional<int64_t> activeParameters;
};
using GraphFactsMap = llvm::StringMap<GraphFacts>;
GraphFactsMap collectGraphFacts(mlir::ModuleOp module);

/// Fails with a diagnostic at a function that lacks what the manifest needs. An artifact may have several versions of its code, whose symbols
/// differ by their number.
mlir::FailureOr<Manifest> buildManifest(mlir::ModuleOp module, llvm::StringRef model, const GraphFactsMap &facts,
                                        const Target &target, unsigned version);

/// Gives the functions of entries the names that signatures say. From there on code makes functions of its own and calls the
/// runtime's, OpenMP's and the C library's by name, so that no name of a person's may be left.
void renameEntries(mlir::ModuleOp module, llvm::ArrayRef<EntrySignature> entries);

/// Shared object, manifest, the description's text (empty: none) and footer as one file's bytes.
std::string packArtifact(llvm::StringRef sharedObject, llvm::StringRef manifest, llvm::StringRef description);

} // namespace peer

#endif // PEER_LOWERING_MANIFEST_H
