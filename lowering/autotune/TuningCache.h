//===- TuningCache.h - what was found on this machine --------------------===//

#ifndef PEER_LOWERING_AUTOTUNE_TUNINGCACHE_H
#define PEER_LOWERING_AUTOTUNE_TUNINGCACHE_H

#include "Search.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>

namespace peer {

/// The processor, its L2 cache, how many threads there are and which BLAS kernels a person wants: "Intel Xeon, 2 threads, 2048 KiB of L2".
std::string describeMachine();

/// What changes whenever another compiler is put in this one's place.
std::string describeCompiler();

/// $XDG_CACHE_HOME/peer/tuning/STEM-HASH.json, or in ~/.cache; empty where there is neither. `key` has all that the result depends on.
std::string tuningCacheFile(llvm::StringRef model, llvm::StringRef key);

/// Nothing where there is no such file; fails with a sentence where it is none of ours.
llvm::Expected<std::optional<SearchResult>> readTuning(llvm::StringRef file);
/// Whole or as it was. `machine` and `what` are for people who read it.
llvm::Error writeTuning(llvm::StringRef file, const SearchResult &result, llvm::StringRef machine,
                        llvm::StringRef what);

} // namespace peer

#endif // PEER_LOWERING_AUTOTUNE_TUNINGCACHE_H
