//===- Candidates.h - code with other values, compiled and timed ---------===//

#ifndef PEER_LOWERING_AUTOTUNE_CANDIDATES_H
#define PEER_LOWERING_AUTOTUNE_CANDIDATES_H

#include "Autotune.h"
#include "BenchProcess.h"
#include "Search.h"
#include "lowering/host/TemporaryFile.h"

#include <map>
#include <memory>

namespace peer {

/// One entry of a model, compiled with many values of its parameters; each is compiled once.
class Candidates {
public:
  /// `options` are those of the whole model, for the version of the code that runs here.
  Candidates(CompileOptions options, mlir::DialectRegistry &registry);

  /// Compiles the entry as it is and times its kernels. `wanted` names it, or is empty.
  mlir::LogicalResult start(const std::string &wanted, int64_t tokens);
  /// As `peer::Measure`.
  std::optional<std::vector<TurnTimes>> measure(llvm::ArrayRef<TuningValues> values, const TuningParameter *about);
  /// Parameters whose kernels take a share of a call that is worth the while, those of the largest first.
  std::vector<const TuningParameter *> worthTrying() const;
  const std::string &entry() const { return options.onlyEntry; }

private:
  mlir::LogicalResult chooseEntry(const std::string &wanted);
  /// An artifact with some values, and a hash of its code.
  struct Compiled {
    TemporaryFile file;
    uint64_t code = 0;
  };
  mlir::FailureOr<const Compiled *> compile(const TuningValues &values);

  CompileOptions options;
  mlir::DialectRegistry &registry;
  BenchProcess bench;
  std::map<TuningValues, std::unique_ptr<Compiled>> compiled;
  /// Of a call of the code as it is, in microseconds.
  double callUs = 0;
  llvm::StringMap<double> kernelUs;
};

} // namespace peer

#endif // PEER_LOWERING_AUTOTUNE_CANDIDATES_H
