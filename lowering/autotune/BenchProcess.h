//===- BenchProcess.h - peer-run, which measures -------------------------===//
//
// The compiler links no runtime: artifacts are timed by `peer-run bench --against -`, a process that keeps a model's parameters while candidates come
// and go.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_AUTOTUNE_BENCHPROCESS_H
#define PEER_LOWERING_AUTOTUNE_BENCHPROCESS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <cstdio>
#include <sys/types.h>
#include <vector>

namespace peer {

class BenchProcess {
public:
  /// Of one artifact, by round, in microseconds.
  struct Times {
    std::vector<double> calls;
    llvm::StringMap<std::vector<double>> kernels;
  };

  BenchProcess() = default;
  BenchProcess(const BenchProcess &) = delete;
  BenchProcess &operator=(const BenchProcess &) = delete;
  ~BenchProcess();

  /// Finds peer-run ($PEER_RUN, beside this program, in PATH) and starts it. `tokens` 0: what it takes by itself.
  llvm::Error start(llvm::StringRef artifact, llvm::StringRef entry, int64_t tokens);
  /// Calls the first artifact and these in turns.
  llvm::Expected<std::vector<Times>> compare(llvm::ArrayRef<std::string> others, int64_t rounds);

private:
  llvm::Error failure();

  std::string program;
  pid_t child = 0;
  FILE *questions = nullptr, *answers = nullptr;
};

} // namespace peer

#endif // PEER_LOWERING_AUTOTUNE_BENCHPROCESS_H
