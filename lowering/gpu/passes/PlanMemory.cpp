//===- PlanMemory.cpp - one arena per entry ------------------------------===//
//
// Entries are straight lines of kernels, so a buffer lives from its allocation to its deallocation and a linear scan
// assigns places. A place is as large as the largest buffer that is ever in it; sizes are compared at a typical number of
// tokens to decide which place a buffer takes, and computed exactly when the entry runs.
//
//===----------------------------------------------------------------------===//

#include "lowering/gpu/block/DeviceOp.h"

#include "lowering/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace peer {
#define GEN_PASS_DEF_PLANMEMORY
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// What a GPU's widest accesses and transfers like.
static constexpr int64_t kAlignment = 256;
/// The number of tokens at which sizes are compared.
static constexpr int64_t kTypicalTokens = 4096;

namespace {
struct Buffer {
  memref::AllocOp alloc;
  Operation *dealloc; // null: lives to the end
  int64_t typicalBytes;
  size_t place;
};

/// Part of the arena: its buffers follow each other in time.
struct Place {
  SmallVector<size_t> buffers;
  int64_t typicalBytes = 0;
  bool free = false;
};

class Planner {
public:
  explicit Planner(func::FuncOp entry) : entry(entry), body(entry.front()) {}
  void run();

private:
  void collect();
  bool hoistSizes(memref::AllocOp alloc);
  bool hoist(Value value);
  void assign();
  size_t takePlace(size_t buffer);
  void rewrite();
  Value emitBytes(LoopBuilder &b, memref::AllocOp alloc);
  void allocateAlone(memref::AllocOp alloc, Operation *dealloc);

  func::FuncOp entry;
  Block &body;
  /// The last op at the start of the entry that computes sizes.
  Operation *sizesEnd = nullptr;
  SmallVector<Buffer> buffers;
  SmallVector<Place> places;
  SmallVector<std::pair<memref::AllocOp, Operation *>> alone;
};
} // namespace

/// The allocation that a value is a view of.
static Operation *allocationOf(Value value) {
  while (auto view = value.getDefiningOp<ViewLikeOpInterface>())
    value = view.getViewSource();
  return value.getDefiningOp();
}

/// Moves what computes an index to the start of the entry; false where it depends on more than sizes of arguments.
bool Planner::hoist(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return value.getParentBlock() == &body;
  if (sizesEnd && op->getBlock() == &body && (op == sizesEnd || op->isBeforeInBlock(sizesEnd)))
    return true;
  if (!isPure(op) || op->getNumRegions() != 0 || !llvm::all_of(op->getOperands(), [&](Value v) { return hoist(v); }))
    return false;
  if (sizesEnd)
    op->moveAfter(sizesEnd);
  else
    op->moveBefore(&body, body.begin());
  sizesEnd = op;
  return true;
}

bool Planner::hoistSizes(memref::AllocOp alloc) {
  return llvm::all_of(alloc.getDynamicSizes(), [&](Value size) { return hoist(size); });
}

void Planner::collect() {
  llvm::SmallPtrSet<Operation *, 8> returned;
  for (Value value : body.getTerminator()->getOperands())
    returned.insert(allocationOf(value));
  SmallVector<memref::AllocOp> allocs;
  entry.walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
  for (memref::AllocOp alloc : allocs) {
    Operation *dealloc = nullptr;
    for (Operation *user : alloc->getUsers())
      if (isa<memref::DeallocOp>(user))
        dealloc = user;
    MemRefType type = alloc.getType();
    bool sameBlock = dealloc ? dealloc->getBlock() == alloc->getBlock() : alloc->getBlock() == &body;
    if (returned.contains(alloc) || !sameBlock || !hoistSizes(alloc)) {
      alone.push_back({alloc, dealloc});
      continue;
    }
    int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
    for (int64_t size : type.getShape())
      bytes *= ShapedType::isDynamic(size) ? kTypicalTokens : size;
    buffers.push_back({alloc, dealloc, bytes, 0});
  }
}

void Planner::assign() {
  // In the order of the entry, what is nested at the place of the op around it.
  llvm::DenseMap<Operation *, SmallVector<size_t>> begins, ends;
  for (auto [i, buffer] : llvm::enumerate(buffers)) {
    begins[body.findAncestorOpInBlock(*buffer.alloc)].push_back(i);
    if (buffer.dealloc)
      ends[body.findAncestorOpInBlock(*buffer.dealloc)].push_back(i);
  }
  for (Operation &op : body) {
    for (size_t i : begins.lookup(&op))
      buffers[i].place = takePlace(i);
    for (size_t i : ends.lookup(&op))
      places[buffers[i].place].free = true;
  }
}

/// The free place that wastes least: nearest in size.
size_t Planner::takePlace(size_t buffer) {
  int64_t bytes = buffers[buffer].typicalBytes;
  auto waste = [&](const Place &place) { return std::abs(place.typicalBytes - bytes); };
  Place *best = nullptr;
  for (Place &place : places)
    if (place.free && (!best || waste(place) < waste(*best)))
      best = &place;
  if (!best)
    best = &places.emplace_back();
  best->free = false;
  best->typicalBytes = std::max(best->typicalBytes, bytes);
  best->buffers.push_back(buffer);
  return best - places.begin();
}

Value Planner::emitBytes(LoopBuilder &b, memref::AllocOp alloc) {
  MemRefType type = alloc.getType();
  int64_t fixed = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t size : type.getShape())
    fixed *= ShapedType::isDynamic(size) ? 1 : size;
  Value bytes = b.index(fixed);
  for (Value size : alloc.getDynamicSizes())
    bytes = b.mul(bytes, size);
  return bytes;
}

static Value emitDeviceAlloc(LoopBuilder &b, MemRefType type, ValueRange sizes) {
  auto emit = [&](Type token, Value start) {
    return gpu::AllocOp::create(b, type, token, start, sizes, /*symbolOperands=*/ValueRange());
  };
  return device::emitAndWait(b, emit).getMemref();
}

static void emitDeviceFree(LoopBuilder &b, Value buffer) {
  device::emitAndWait(b, [&](Type token, Value start) { return gpu::DeallocOp::create(b, token, start, buffer); });
}

void Planner::allocateAlone(memref::AllocOp alloc, Operation *dealloc) {
  OpBuilder at(alloc);
  LoopBuilder b(at, alloc.getLoc());
  MemRefType type = alloc.getType();
  Value buffer = emitDeviceAlloc(b, MemRefType::get(type.getShape(), type.getElementType()), alloc.getDynamicSizes());
  if (dealloc) {
    OpBuilder after(dealloc);
    LoopBuilder end(after, dealloc->getLoc());
    emitDeviceFree(end, buffer);
    dealloc->erase();
  }
  alloc.replaceAllUsesWith(buffer);
  alloc.erase();
}

void Planner::rewrite() {
  OpBuilder at(entry.getContext());
  if (sizesEnd)
    at.setInsertionPointAfter(sizesEnd);
  else
    at.setInsertionPointToStart(&body);
  LoopBuilder b(at, entry.getLoc());
  SmallVector<Value> offsets;
  Value total = b.index(0), alignment = b.index(kAlignment);
  for (Place &place : places) {
    Value bytes;
    for (size_t i : place.buffers) {
      Value needed = emitBytes(b, buffers[i].alloc);
      bytes = bytes ? Value(arith::MaxUIOp::create(b, bytes, needed)) : needed;
    }
    offsets.push_back(total);
    Value rounded = b.mul(arith::CeilDivUIOp::create(b, bytes, alignment), alignment);
    total = b.add(total, rounded);
  }
  Value arena = emitDeviceAlloc(b, MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), total);
  for (Buffer &buffer : buffers) {
    b.setInsertionPoint(buffer.alloc);
    MemRefType type = buffer.alloc.getType();
    Value view = memref::ViewOp::create(b, MemRefType::get(type.getShape(), type.getElementType()), arena,
                                        offsets[buffer.place], buffer.alloc.getDynamicSizes());
    if (buffer.dealloc)
      buffer.dealloc->erase();
    buffer.alloc.replaceAllUsesWith(view);
    buffer.alloc.erase();
  }
  b.setInsertionPoint(body.getTerminator());
  emitDeviceFree(b, arena);
}

void Planner::run() {
  collect();
  for (auto [alloc, dealloc] : alone)
    allocateAlone(alloc, dealloc);
  if (buffers.empty())
    return;
  assign();
  rewrite();
}

namespace {
struct PlanMemory : peer::impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && function.getBody().hasOneBlock())
        Planner(function).run();
  }
};
} // namespace
