//===- Tuning.h - the values of tuning parameters in a module ------------===//
//
// They are an attribute of the module, `peer.tuning = {mix.tokens = 32}`, until its kernels are emitted: what was chosen is in the IR, and passes
// that run side by side read it there.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_TUNING_TUNING_H
#define PEER_LOWERING_TUNING_TUNING_H

#include "Parameters.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace peer {

/// What the code of an op, or code at this place, is to take.
int64_t tuned(mlir::Operation *op, const TuningParameter &parameter);
int64_t tuned(mlir::OpBuilder &builder, const TuningParameter &parameter);

/// Puts values on a module, or leaves it without.
void setTuning(mlir::ModuleOp module, const TuningValues &values);
TuningValues getTuning(mlir::ModuleOp module);

/// `mix.tokens=32,route.tokens=128`. Fails with a sentence on names and values that there are not.
llvm::Expected<TuningValues> parseTuning(llvm::StringRef text);
/// The same for values of a file, by name; `where` begins the sentence.
llvm::Error checkTuning(llvm::StringRef name, int64_t value, llvm::StringRef where);
std::string tuningText(const TuningValues &values);

/// A line for each parameter: its value, what is tried, what it means.
std::string tuningTable();

} // namespace peer

#endif // PEER_LOWERING_TUNING_TUNING_H
