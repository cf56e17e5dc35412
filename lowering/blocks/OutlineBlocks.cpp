//===- OutlineBlocks.cpp - one function for blocks that repeat -----------===//

#include "Blocks.h"
#include "RepeatedOps.h"
#include "dialect/PeerOps.h"

#include "mlir/IR/IRMapping.h"

namespace peer {
#define GEN_PASS_DEF_OUTLINEBLOCKS
#include "lowering/blocks/Blocks.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

static SmallVector<Value> inputsOf(ArrayRef<Operation *> sequence) {
  SmallVector<Value> inputs;
  visitReads(sequence, {[&](Value value) { inputs.push_back(value); }, [](Operation *) {}}, [](Operation *) {});
  return inputs;
}

/// The function that does what one of the places does.
static func::FuncOp buildFunction(const RepeatedOps &repeated) {
  const OpSequence &sequence = repeated.places.front();
  auto first = cast<MarkOp>(sequence.front());
  SmallVector<Value> inputs = inputsOf(sequence);
  OpBuilder b(sequence.front()->getContext());
  SmallVector<Type> inputTypes = {b.getI64Type()}, resultTypes;
  llvm::append_range(inputTypes, ValueRange(inputs).getTypes());
  for (auto [op, result] : repeated.results)
    resultTypes.push_back(sequence[op]->getResult(result).getType());
  auto function = func::FuncOp::create(sequence.front()->getLoc(), "block", b.getFunctionType(inputTypes, resultTypes));
  function.setPrivate();
  function->setAttr(kBlockAttr, b.getUnitAttr());
  Block *body = function.addEntryBlock();
  IRMapping mapping;
  mapping.map(inputs, body->getArguments().drop_front());
  b.setInsertionPointToEnd(body);
  visitReads(sequence, {[](Value) {}, [&](Operation *op) { b.clone(*op, mapping); }}, [&](Operation *op) {
    auto mark = dyn_cast<MarkOp>(b.clone(*op, mapping));
    if (mark)
      mark.setIndex(mark.getIndex() - first.getIndex());
  });
  SmallVector<Value> results;
  for (auto [op, result] : repeated.results)
    results.push_back(mapping.lookup(sequence[op]->getResult(result)));
  func::ReturnOp::create(b, sequence.back()->getLoc(), results);
  return function;
}

/// Erases an op, and before it what nobody reads of what was computed of its results.
static void eraseWithUsers(Operation *op) {
  while (!op->use_empty())
    eraseWithUsers(*op->user_begin());
  op->erase();
}

static void callInPlace(const OpSequence &sequence, const RepeatedOps &repeated, func::FuncOp function) {
  Operation *last = sequence.back();
  auto first = cast<MarkOp>(sequence.front());
  SmallVector<Value> inputs = inputsOf(sequence);
  OpBuilder b(last);
  inputs.insert(inputs.begin(), arith::ConstantOp::create(b, last->getLoc(), first.getIndexAttr()));
  b.setInsertionPointAfter(last);
  auto call = func::CallOp::create(b, last->getLoc(), function, inputs);
  for (auto [result, value] : llvm::zip_equal(repeated.results, call.getResults()))
    sequence[result.first]->getResult(result.second).replaceAllUsesWith(value);
  // What was copied into the function and is read outside, too, comes after the call if it reads its results.
  Operation *end = call;
  llvm::SmallPtrSet<Operation *, 8> moved = {call};
  SmallVector<Operation *> between;
  for (Operation *op = sequence.front(); op != last; op = op->getNextNode())
    if (isCopied(op))
      between.push_back(op);
  for (Operation *op : between) {
    if (llvm::none_of(op->getOperands(), [&](Value value) { return moved.contains(value.getDefiningOp()); }))
      continue;
    op->moveAfter(end);
    moved.insert(op);
    end = op;
  }
  for (Operation *op : llvm::reverse(sequence))
    eraseWithUsers(op);
}

namespace {
struct OutlineBlocks : peer::impl::OutlineBlocksBase<OutlineBlocks> {
  using OutlineBlocksBase::OutlineBlocksBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!function.isPublic() || !function.getBody().hasOneBlock())
        continue;
      for (const RepeatedOps &repeated : findRepeatedOps(function.front(), fewest, least)) {
        func::FuncOp shared = buildFunction(repeated);
        symbols.insert(shared);
        for (const OpSequence &sequence : repeated.places)
          callInPlace(sequence, repeated, shared);
      }
    }
  }
};
} // namespace
