//===- OutlineKernels.cpp - one function per kernel ----------------------===//

#include "Passes.h"
#include "blocks/Blocks.h"
#include "dialect/PeerOps.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

namespace peer {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// Work on buffers; what has results is not bufferized, and its users stay behind.
static bool isKernel(Operation *op) {
  return op->getNumResults() == 0 && isa<scf::ForallOp, GraphOpInterface, linalg::LinalgOp>(op);
}

/// Values from outside that `op` and its regions use.
static llvm::SetVector<Value> capturedBy(Operation *op) {
  llvm::SetVector<Value> captured;
  op->walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (!op->isAncestor(operand.getParentBlock()->getParentOp()) || operand.getParentBlock() == op->getBlock())
        captured.insert(operand);
  });
  return captured;
}

/// Moves `op` into a private function and calls it in its place.
static void outline(Operation *op, StringRef name, SymbolTable &symbols) {
  IRMapping mapping;
  SmallVector<Value> arguments;
  SmallVector<Operation *> constants;
  for (Value value : capturedBy(op)) {
    // Constants move along, so that sizes stay known inside and tables lie where the kernel runs.
    if (matchPattern(value, m_Constant()) || value.getDefiningOp<memref::GetGlobalOp>())
      constants.push_back(value.getDefiningOp());
    else
      arguments.push_back(value);
  }
  OpBuilder b(op->getContext());
  auto type = b.getFunctionType(TypeRange(ValueRange(arguments)), {});
  auto function = func::FuncOp::create(op->getLoc(), ("kernel_" + name).str(), type);
  function.setPrivate();
  symbols.insert(function);
  Block *body = function.addEntryBlock();
  mapping.map(arguments, body->getArguments());
  b.setInsertionPointToStart(body);
  for (Operation *constant : constants)
    b.clone(*constant, mapping);
  b.clone(*op, mapping);
  func::ReturnOp::create(b, op->getLoc());
  b.setInsertionPoint(op);
  func::CallOp::create(b, op->getLoc(), function, arguments);
  op->erase();
}

/// About how many elements one tile of a copy has.
static constexpr int64_t kCopyTile = 1 << 14;

/// Copies in tiles of the outermost dimension, which threads and blocks share.
static Operation *copyInTiles(OpBuilder &b, Location loc, Value source, Value target) {
  auto type = cast<MemRefType>(source.getType());
  int64_t inner = 1;
  for (int64_t size : type.getShape().drop_front(std::min<int64_t>(type.getRank(), 1)))
    inner *= ShapedType::isDynamic(size) ? kCopyTile : std::max<int64_t>(size, 1);
  int64_t step = std::max<int64_t>(kCopyTile / inner, 1);
  if (type.getRank() == 0 || (!type.isDynamicDim(0) && type.getDimSize(0) <= step))
    return linalg::CopyOp::create(b, loc, source, target);
  SmallVector<OpFoldResult> sizes = memref::getMixedSizes(b, loc, source);
  SmallVector<OpFoldResult> zero = {b.getIndexAttr(0)}, steps = {b.getIndexAttr(step)}, rows = {sizes[0]};
  return scf::ForallOp::create(
      b, loc, zero, rows, steps, ValueRange(), std::nullopt, [&](OpBuilder &body, Location loc, ValueRange arguments) {
        SmallVector<OpFoldResult> offsets(type.getRank(), body.getIndexAttr(0));
        SmallVector<OpFoldResult> ones(type.getRank(), body.getIndexAttr(1)), tile = sizes;
        offsets[0] = arguments[0];
        AffineExpr at, end;
        bindDims(body.getContext(), at);
        bindSymbols(body.getContext(), end);
        AffineExpr most = getAffineConstantExpr(step, body.getContext());
        tile[0] = affine::makeComposedFoldedAffineMin(
            body, loc, AffineMap::get(1, 1, {end - at, most}, body.getContext()), {offsets[0], rows[0]});
        auto part = [&](Value buffer) {
          return memref::SubViewOp::create(body, loc, buffer, offsets, tile, ones).getResult();
        };
        linalg::CopyOp::create(body, loc, part(source), part(target));
        scf::InParallelOp::create(body, loc);
      });
}

/// What is copied out of or into a part of a larger buffer: neither target's copies step over what lies between. Returns the kernels.
static llvm::DenseSet<Operation *> makeStridedCopiesLoops(ModuleOp module) {
  llvm::DenseSet<Operation *> kernels;
  module.walk([&](memref::CopyOp copy) {
    auto isPart = [](Value buffer) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      return type && !type.getLayout().isIdentity();
    };
    if (!isPart(copy.getSource()) && !isPart(copy.getTarget()))
      return;
    OpBuilder b(copy);
    // In a loop it is part of a kernel already.
    if (isa<func::FuncOp>(copy->getParentOp()))
      kernels.insert(copyInTiles(b, copy.getLoc(), copy.getSource(), copy.getTarget()));
    else
      linalg::CopyOp::create(b, copy.getLoc(), copy.getSource(), copy.getTarget());
    copy.erase();
  });
  return kernels;
}

namespace {
struct OutlineKernels : peer::impl::OutlineKernelsBase<OutlineKernels> {
  void runOnOperation() override {
    llvm::DenseSet<Operation *> copies = makeStridedCopiesLoops(getOperation());
    SymbolTable symbols(getOperation());
    for (func::FuncOp function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal() || (function.isPrivate() && !isSharedBlock(function)))
        continue;
      std::string name = "op";
      for (Operation &op : llvm::make_early_inc_range(function.front())) {
        if (auto mark = dyn_cast<MarkOp>(op))
          name = mark.getKernel().str();
        else if (isKernel(&op))
          outline(&op, copies.contains(&op) ? StringRef("copy") : StringRef(name), symbols);
      }
    }
  }
};
} // namespace
