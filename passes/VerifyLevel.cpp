//===- VerifyLevel.cpp - check what may stand at which level -------------===//

#include "Entries.h"
#include "Passes.h"
#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexRanges.h"
#include "passes/analysis/TokenCounts.h"
#include "passes/description/Description.h"

#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_VERIFYLEVEL
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// What one level allows.
struct Level {
  StringRef name;
  SmallVector<StringRef> dialects;
  bool others;   ///< the dialects are those it does not allow: below, every target has its own
  bool modelOps; ///< peer.param, calls and requests
  bool tensors;  ///< values of tensor type
  bool buffers;  ///< values of memref type
  bool loops;    ///< scores stand inside loops
};

const Level kLevels[] = {
    {"model", {"builtin", "func", "peer", "arith", "math", "tensor", "linalg"}, false, true, true, false, false},
    {"graph", {"builtin", "func", "peer", "arith", "math", "tensor", "linalg"}, false, false, true, false, false},
    {"tiled",
     {"builtin", "func", "peer", "arith", "math", "tensor", "linalg", "scf", "affine", "bufferization", "index", "ub"},
     false,
     false,
     true,
     true,
     true},
    {"kernel", {"peer", "tensor", "linalg", "bufferization"}, true, false, false, true, false},
};

/// Whether the score tensor of a whole batch could exist here: neither in a loop nor small by its type. Other routing ops
/// may be left whole, for kernels that divide them in their own way.
bool isUntiledScore(Operation *op) {
  auto graphOp = dyn_cast<GraphOpInterface>(op);
  return graphOp && graphOp.hasLargeResults() && !op->getParentOfType<LoopLikeOpInterface>() &&
         op->getNumResults() == 1 && !cast<ShapedType>(op->getResult(0).getType()).hasStaticShape();
}

/// Says that `idx` numbers other experts than the op has.
LogicalResult refuseExperts(Operation *op, Value idx, int64_t held, int64_t chosenFrom) {
  auto mix = dyn_cast<MixLikeOpInterface>(op);
  InFlightDiagnostic diag = op->emitError() << "op '" << op->getName() << "' " << (mix ? "has a pool of " : "is for ")
                                            << held << " experts, but its experts are selected among " << chosenFrom;
  if (auto selection = idx.getDefiningOp<SelectionOpInterface>(); selection && selection.isGrid())
    diag << " (" << selection.getNumKeys() << " * " << selection.getNumKeys() << " product keys)";
  if (!mix)
    return diag;
  int64_t rowsPerExpert = mix.getRowsPerExpert();
  // Experts of several rows are the likeliest thing meant: a pool says how many rows it has, not what shares them out.
  if (int64_t rows = held * rowsPerExpert; chosenFrom > 0 && rows % chosenFrom == 0)
    diag << "; {rows_per_expert = " << rows / chosenFrom << "} makes " << chosenFrom << " of its " << rows << " rows";
  else
    diag << "; give it " << chosenFrom * rowsPerExpert << " rows";
  return diag;
}

/// Indices of more experts than an op has would be read out of its bounds, and experts that no index reaches would never
/// learn.
LogicalResult checkExperts(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    std::optional<IndexRange> wanted = getIndexRange(operand);
    std::optional<int64_t> numbered = wanted ? countNumberedExperts(operand.get()) : std::nullopt;
    if (numbered && *numbered != wanted->second)
      return refuseExperts(op, operand.get(), wanted->second, *numbered);
  }
  return success();
}

LogicalResult checkOp(Operation *op, const Level &level) {
  auto fail = [&](const Twine &what) {
    return op->emitError() << "op '" << op->getName() << "' " << what << " at the " << level.name << " level";
  };
  if (llvm::is_contained(level.dialects, op->getName().getDialectNamespace()) == level.others)
    return fail("is not allowed");
  if (!level.modelOps && isModelOp(op))
    return fail("belongs to a model description and is not allowed");
  if (!level.tensors && (llvm::any_of(op->getOperandTypes(), llvm::IsaPred<TensorType>) ||
                         llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>)))
    return fail("works on tensors, which is not allowed");
  // Passes up to the tiles take types for those of tensors.
  if (!level.buffers && (llvm::any_of(op->getOperandTypes(), llvm::IsaPred<BaseMemRefType>) ||
                         llvm::any_of(op->getResultTypes(), llvm::IsaPred<BaseMemRefType>)))
    return fail("works on buffers, which is not allowed");
  if (level.loops && isUntiledScore(op))
    return fail("must stand inside a loop or have static shapes");
  return level.tensors ? checkExperts(op) : success();
}

struct VerifyLevelPass : peer::impl::VerifyLevelBase<VerifyLevelPass> {
  using VerifyLevelBase::VerifyLevelBase;
  void runOnOperation() override {
    const Level *wanted = llvm::find_if(kLevels, [&](const Level &l) { return l.name == level.getValue(); });
    if (wanted == std::end(kLevels)) {
      getOperation().emitError() << "unknown level '" << level.getValue()
                                 << "': expected model, graph, tiled or kernel";
      return signalPassFailure();
    }
    if (wanted->name == "model" && failed(checkDescription(getOperation())))
      return signalPassFailure();
    WalkResult result = getOperation().walk<WalkOrder::PreOrder>(
        [&](Operation *op) { return failed(checkOp(op, *wanted)) ? WalkResult::interrupt() : WalkResult::advance(); });
    if (result.wasInterrupted())
      return signalPassFailure();
    if (wanted->name == "graph" && failed(checkKeptTensors(getOperation())))
      return signalPassFailure();
    // Before the graph level there are calls, after it tiles.
    if (wanted->name == "graph")
      for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
        if (!function.isExternal() && failed(TokenCounts(function).check()))
          return signalPassFailure();
  }
};

} // namespace
