//===- FreeBuffers.cpp - buffers are freed after their last use ----------===//
//
// Upstream's deallocation decides by flags at run time what nobody frees, and simplifies them until none is left. That takes time by the square
// of the buffers of a function, and it knows nothing of what a call returns. Here all ops are known: a buffer goes on as a view, out of
// a region, or to the caller, and anything else is refused.
//
//===----------------------------------------------------------------------===//

#include "Blocks.h"

#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/MapVector.h"

namespace peer {
#define GEN_PASS_DEF_FREEBUFFERS
#include "lowering/blocks/Blocks.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

namespace {
/// What becomes of a buffer in the block that owns it.
struct Life {
  Value buffer;
  Block *block;
  /// The last op of the block that uses it, or has it in a region; null: none does.
  Operation *last = nullptr;
  /// The caller has it.
  bool returned = false;
  /// How often the last op has it as an operand, a view included.
  unsigned usesByLast = 0;
};

/// An argument of a shared function.
using Parameter = std::pair<Operation *, unsigned>;

class Freeing {
public:
  explicit Freeing(ModuleOp module) : module(module), symbols(module) {}
  LogicalResult run();

private:
  LogicalResult collect(func::FuncOp function);
  LogicalResult follow(Life &life, Value alias);
  void copyResults(func::FuncOp function);
  func::FuncOp sharedBlock(Operation *call) const;
  /// The parameter that takes the buffer over at its last use.
  std::optional<Parameter> taker(const Life &life) const;

  ModuleOp module;
  SymbolTable symbols;
  SmallVector<Life> lives;
  /// Of each parameter that takes a buffer over, how many calls hand it one.
  llvm::MapVector<Parameter, unsigned> taken;
  llvm::DenseMap<Operation *, unsigned> calls;
};
} // namespace

/// The value that a view is of, through all views.
static Value viewed(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return value;
}

static bool isBuffer(Value value) { return isa<BaseMemRefType>(value.getType()); }

/// Follows one name of a buffer to its uses.
LogicalResult Freeing::follow(Life &life, Value alias) {
  for (OpOperand &use : alias.getUses()) {
    Operation *user = use.getOwner();
    Operation *top = life.block->findAncestorOpInBlock(*user);
    if (!top)
      return user->emitOpError("uses a buffer outside of the block that it is allocated in");
    if (life.last == top) {
      ++life.usesByLast;
    } else if (!life.last || life.last->isBeforeInBlock(top)) {
      life.last = top;
      life.usesByLast = 1;
    }
    SmallVector<Value> aliases;
    if (isa<func::ReturnOp>(user)) {
      life.returned = true;
    } else if (user->hasTrait<OpTrait::IsTerminator>()) {
      if (user->getBlock() == life.block && user->getParentOp()->getNumResults() != 0)
        return user->emitOpError("hands on a buffer that is allocated in the same region");
      llvm::append_range(aliases, user->getParentOp()->getResults());
    } else if (isa<ViewLikeOpInterface, RegionBranchOpInterface, SelectLikeOpInterface>(user)) {
      llvm::append_range(aliases, user->getResults());
      for (Region &region : user->getRegions())
        if (!region.empty())
          llvm::append_range(aliases, region.getArguments());
    } else if (!isa<CallOpInterface>(user) && llvm::any_of(user->getResults(), isBuffer)) {
      return user->emitOpError("has a buffer as an operand and another as a result: whether they are one is not known");
    }
    for (Value other : aliases)
      if (isBuffer(other) && failed(follow(life, other)))
        return failure();
  }
  return success();
}

func::FuncOp Freeing::sharedBlock(Operation *op) const {
  auto call = dyn_cast_or_null<func::CallOp>(op);
  auto callee = call ? symbols.lookup<func::FuncOp>(call.getCallee()) : func::FuncOp();
  return callee && isSharedBlock(callee) ? callee : func::FuncOp();
}

std::optional<Parameter> Freeing::taker(const Life &life) const {
  func::FuncOp callee = sharedBlock(life.last);
  if (!callee || life.usesByLast != 1 || life.returned)
    return std::nullopt;
  auto operand = llvm::find(life.last->getOperands(), life.buffer);
  if (operand == life.last->operand_end())
    return std::nullopt;
  return Parameter(callee, operand.getIndex());
}

/// A caller frees what it is given: each result is a buffer of its own.
void Freeing::copyResults(func::FuncOp function) {
  Operation *end = function.front().getTerminator();
  llvm::SmallPtrSet<Value, 8> given;
  for (OpOperand &result : end->getOpOperands()) {
    if (!isBuffer(result.get()))
      continue;
    Value source = viewed(result.get());
    bool isOwn = source.getDefiningOp<memref::AllocOp>() || source.getDefiningOp<func::CallOp>();
    if (isOwn && given.insert(source).second)
      continue;
    OpBuilder b(end);
    SmallVector<Value> sizes;
    auto type = cast<MemRefType>(result.get().getType());
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (type.isDynamicDim(i))
        sizes.push_back(memref::DimOp::create(b, end->getLoc(), result.get(), i));
    Value copy = memref::AllocOp::create(b, end->getLoc(), type, sizes);
    memref::CopyOp::create(b, end->getLoc(), result.get(), copy);
    result.set(copy);
  }
}

LogicalResult Freeing::collect(func::FuncOp function) {
  auto add = [&](Value buffer, Block *block) {
    Life life{buffer, block};
    if (failed(follow(life, buffer)))
      return failure();
    if (std::optional<Parameter> parameter = taker(life))
      ++taken[*parameter];
    lives.push_back(life);
    return success();
  };
  WalkResult walked = function.walk([&](Operation *op) -> WalkResult {
    if (sharedBlock(op))
      ++calls[sharedBlock(op)];
    if (!isa<memref::AllocOp, func::CallOp>(op))
      return WalkResult::advance();
    for (Value result : op->getResults())
      if (isBuffer(result) && failed(add(result, op->getBlock())))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

LogicalResult Freeing::run() {
  auto functions = llvm::make_filter_range(module.getOps<func::FuncOp>(),
                                           [](func::FuncOp function) { return function.getBody().hasOneBlock(); });
  for (func::FuncOp function : functions)
    copyResults(function);
  for (func::FuncOp function : functions)
    if (failed(collect(function)))
      return failure();
  // A parameter's buffer is freed by the callee if each call hands over its own.
  auto isTaken = [&](const Parameter &parameter) { return taken.lookup(parameter) == calls.lookup(parameter.first); };
  SmallVector<Life> freed;
  for (const Life &life : lives)
    if (std::optional<Parameter> parameter = taker(life); !life.returned && !(parameter && isTaken(*parameter)))
      freed.push_back(life);
  for (auto &[parameter, count] : taken) {
    if (!isTaken(parameter))
      continue;
    Block &body = cast<func::FuncOp>(parameter.first).front();
    Life life{body.getArgument(parameter.second), &body};
    if (failed(follow(life, life.buffer)))
      return failure();
    freed.push_back(life);
  }
  for (const Life &life : freed) {
    OpBuilder b(module.getContext());
    if (Operation *after = life.last ? life.last : life.buffer.getDefiningOp(); !after)
      b.setInsertionPointToStart(life.block);
    else if (after->hasTrait<OpTrait::IsTerminator>())
      b.setInsertionPoint(after);
    else
      b.setInsertionPointAfter(after);
    memref::DeallocOp::create(b, life.buffer.getLoc(), life.buffer);
  }
  return success();
}

namespace {
struct FreeBuffers : peer::impl::FreeBuffersBase<FreeBuffers> {
  void runOnOperation() override {
    if (failed(Freeing(getOperation()).run()))
      signalPassFailure();
  }
};
} // namespace
