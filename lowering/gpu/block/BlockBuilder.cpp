//===- BlockBuilder.cpp - code that a block of threads executes together -===//

#include "BlockBuilder.h"

#include "dialect/ops/Check.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

BlockBuilder::BlockBuilder(OpBuilder &b, Location loc, gpu::LaunchOp launch)
    : LoopBuilder(b, loc), launch(launch), threadCount(*getConstantIntValue(launch.getBlockSizeX())) {}

void BlockBuilder::noteBlocks(int64_t blocks) {
  if (auto noted = launch->getAttrOfType<IntegerAttr>(kBlocksAttr))
    blocks = std::min(blocks, noted.getInt());
  launch->setAttr(kBlocksAttr, getI32IntegerAttr(blocks));
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value BlockBuilder::thread() { return gpu::ThreadIdOp::create(*this, gpu::Dimension::x); }
Value BlockBuilder::warp() { return div(thread(), index(kWarpSize)); }
Value BlockBuilder::lane() { return rem(thread(), index(kWarpSize)); }

void BlockBuilder::barrier() { gpu::BarrierOp::create(*this); }

void BlockBuilder::warpBarrier() { NVVM::SyncWarpOp::create(*this, i32(-1)); }

void BlockBuilder::forStrided(Value first, Value count, int64_t step, Scope inner, Body body) {
  llvm::SaveAndRestore<Scope> saved(scope, inner);
  loop(first, count, body, step);
}

void BlockBuilder::forThreads(Value count, Body body) {
  forStrided(thread(), count, threads(), Scope::OneThread, body);
}
void BlockBuilder::forWarps(Value count, Body body) { forStrided(warp(), count, warps(), Scope::OneWarp, body); }
void BlockBuilder::forLanes(Value count, Body body) { forStrided(lane(), count, kWarpSize, Scope::OneThread, body); }

void BlockBuilder::onOneThread(llvm::function_ref<void()> body) {
  llvm::SaveAndRestore<Scope> saved(scope, Scope::OneThread);
  ifThen(cmp(CmpIPredicate::eq, thread(), index(0)), body);
}
void BlockBuilder::onOneLane(llvm::function_ref<void()> body) {
  llvm::SaveAndRestore<Scope> saved(scope, Scope::OneThread);
  ifThen(cmp(CmpIPredicate::eq, lane(), index(0)), body);
}

void BlockBuilder::onEachThread(llvm::function_ref<void()> body) {
  llvm::SaveAndRestore<Scope> saved(scope, Scope::OneThread);
  body();
}

//===----------------------------------------------------------------------===//
// Exchange within a warp
//===----------------------------------------------------------------------===//

Value BlockBuilder::shuffleXor(Value v, int64_t mask) {
  return gpu::ShuffleOp::create(*this, v, i32(mask), i32(kWarpSize), gpu::ShuffleMode::XOR).getShuffleResult();
}

Value BlockBuilder::shuffle(Value v, Value source) {
  return gpu::ShuffleOp::create(*this, v, source, i32(kWarpSize), gpu::ShuffleMode::IDX).getShuffleResult();
}

Value BlockBuilder::ballot(Value condition) {
  return NVVM::VoteSyncOp::create(*this, getI32Type(), i32(-1), condition, NVVM::VoteSyncKind::ballot);
}

Value BlockBuilder::reduceWarp(Value v, llvm::function_ref<Value(Value, Value)> join) {
  for (int64_t mask = kWarpSize / 2; mask > 0; mask /= 2)
    v = join(v, shuffleXor(v, mask));
  return v;
}

Value BlockBuilder::reduceBlock(Value v, llvm::function_ref<Value(Value, Value)> join) {
  Value parts = shared({warps()}, v.getType());
  Value ofWarp = reduceWarp(v, join);
  {
    llvm::SaveAndRestore<Scope> saved(scope, Scope::OneWarp);
    store(ofWarp, parts, warp());
  }
  barrier();
  Value total = load(parts, index(0));
  for (int64_t w = 1; w < warps(); ++w)
    total = join(total, load(parts, index(w)));
  // The parts may be written again by the next reduction.
  barrier();
  return total;
}

Value BlockBuilder::warpSum(Value v) {
  return reduceWarp(v, [&](Value a, Value b) { return add(a, b); });
}
Value BlockBuilder::warpMax(Value v) {
  return reduceWarp(v, [&](Value a, Value b) { return max(a, b); });
}
Value BlockBuilder::blockSum(Value v) {
  return reduceBlock(v, [&](Value a, Value b) { return add(a, b); });
}
Value BlockBuilder::blockMax(Value v) {
  return reduceBlock(v, [&](Value a, Value b) { return max(a, b); });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value BlockBuilder::shared(ArrayRef<int64_t> shape, Type element) {
  auto space = gpu::AddressSpaceAttr::get(getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  return launch.addWorkgroupAttribution(MemRefType::get(shape, element, MemRefLayoutAttrInterface{}, space), getLoc());
}

/// The element offset of buffer[at...] in the memory that the buffer's pointer points to.
static Value emitOffset(LoopBuilder &b, Value buffer, ValueRange at) {
  auto metadata = memref::ExtractStridedMetadataOp::create(b, buffer);
  Value offset = metadata.getOffset();
  for (auto [position, stride] : llvm::zip(at, metadata.getStrides()))
    offset = b.add(offset, b.mul(position, stride));
  return offset;
}

/// LLVM knows the bits of fp8 alone.
static Type asLoaded(OpBuilder &b, Type element) { return isa<Float8E4M3FNType>(element) ? b.getI8Type() : element; }

static Value emitAddress(LoopBuilder &b, Value buffer, ValueRange at, unsigned space) {
  Type element = asLoaded(b, cast<MemRefType>(buffer.getType()).getElementType());
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  Value offset = emitOffset(b, buffer, at);
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), base);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext(), space);
  Value start = LLVM::IntToPtrOp::create(b, pointer, bits);
  Value position = arith::IndexCastOp::create(b, b.getI64Type(), offset);
  return LLVM::GEPOp::create(b, pointer, element, start, ValueRange{position});
}

Value BlockBuilder::address(Value buffer, ValueRange at) { return emitAddress(*this, buffer, at, 0); }
Value BlockBuilder::globalAddress(Value buffer, ValueRange at) {
  return emitAddress(*this, buffer, at, unsigned(NVVM::NVVMMemorySpace::Global));
}

Value BlockBuilder::loadWide(Value buffer, ValueRange at, int64_t lanes, bool readOnly) {
  auto type = cast<MemRefType>(buffer.getType());
  unsigned bytes = lanes * type.getElementTypeBitWidth() / 8;
  Type element = readOnly ? asLoaded(*this, type.getElementType()) : type.getElementType();
  Type wide = lanes == 1 ? element : VectorType::get({lanes}, element);
  if (!readOnly) {
    if (lanes == 1)
      return memref::LoadOp::create(*this, buffer, at);
    return vector::LoadOp::create(*this, cast<VectorType>(wide), buffer, at, /*nontemporal=*/false,
                                  llvm::MaybeAlign(bytes));
  }
  return LLVM::LoadOp::create(*this, wide, globalAddress(buffer, at), bytes, /*isVolatile=*/false,
                              /*isNonTemporal=*/false, /*isInvariant=*/true);
}

Value BlockBuilder::load(Value buffer, ValueRange at, int64_t lanes) {
  if (lanes == 1)
    return LoopBuilder::load(buffer, at, 1);
  Value loaded = loadWide(buffer, at, lanes);
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  if (element.isInteger(8))
    return arith::SIToFPOp::create(*this, floats(lanes), loaded);
  return element.isBF16() ? arith::ExtFOp::create(*this, floats(lanes), loaded) : loaded;
}

void BlockBuilder::store(Value v, Value buffer, ValueRange at) {
  if (scope == Scope::OneThread) {
    auto vector = dyn_cast<VectorType>(v.getType());
    if (!vector)
      return LoopBuilder::store(v, buffer, at);
    Type element = cast<MemRefType>(buffer.getType()).getElementType();
    if (element.isBF16() && !vector.getElementType().isBF16())
      v = arith::TruncFOp::create(*this, VectorType::get(vector.getShape(), element), v);
    unsigned bytes = vector.getNumElements() * element.getIntOrFloatBitWidth() / 8;
    vector::StoreOp::create(*this, v, buffer, at, /*nontemporal=*/false, llvm::MaybeAlign(bytes));
    return;
  }
  Value first = scope == Scope::OneWarp ? lane() : thread();
  llvm::SaveAndRestore<Scope> saved(scope, Scope::OneThread);
  ifThen(cmp(CmpIPredicate::eq, first, index(0)), [&] { store(v, buffer, at); });
}

//===----------------------------------------------------------------------===//
// Rows over lanes
//===----------------------------------------------------------------------===//

// Neighbouring lanes touch neighbouring addresses, so an access of a warp is one burst; with one element per lane it is
// that whatever the alignment of a row.
SmallVector<Value> BlockBuilder::walkRow(Value size, int64_t lanes, ValueRange init,
                                         llvm::function_ref<SmallVector<Value>(Value, int64_t, ValueRange)> body) {
  llvm::SaveAndRestore<Scope> saved(scope, Scope::OneThread);
  std::optional<int64_t> constant = getConstantIntValue(size);
  if (!constant || *constant % lanes != 0)
    lanes = 1;
  int64_t step = kWarpSize * lanes;
  Value first = mul(lane(), index(lanes));
  // The same number of steps for all lanes can be unrolled.
  if (constant && *constant % step == 0)
    return loop(
        index(0), size, init, [&](Value at, ValueRange carried) { return body(add(at, first), lanes, carried); }, step);
  return loop(first, size, init, [&](Value at, ValueRange carried) { return body(at, lanes, carried); }, step);
}

void BlockBuilder::strips(Value size, int64_t lanes, llvm::function_ref<void(Value, int64_t)> body) {
  walkRow(size, lanes, {}, [&](Value at, int64_t taken, ValueRange) {
    body(at, taken);
    return SmallVector<Value>();
  });
  // What one lane stored another may load next.
  warpBarrier();
}

Value BlockBuilder::reduceStrips(Value size, int64_t lanes, double identity,
                                 llvm::function_ref<Value(Value, int64_t)> term,
                                 llvm::function_ref<Value(Value, Value)> join) {
  std::optional<int64_t> constant = getConstantIntValue(size);
  if (!constant || *constant % lanes != 0)
    lanes = 1;
  Value ofLane = walkRow(size, lanes, f32(identity, floats(lanes)), [&](Value at, int64_t taken, ValueRange carried) {
    return SmallVector<Value>{join(carried[0], term(at, taken))};
  })[0];
  warpBarrier();
  if (lanes == 1)
    return reduceWarp(ofLane, join);
  Value total = vector::ExtractOp::create(*this, ofLane, 0);
  for (int64_t i = 1; i < lanes; ++i)
    total = join(total, vector::ExtractOp::create(*this, ofLane, i));
  return reduceWarp(total, join);
}

Value BlockBuilder::sumStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value, int64_t)> term) {
  return reduceStrips(size, lanes, 0.0, term, [&](Value a, Value b) { return add(a, b); });
}

Value BlockBuilder::maxStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value, int64_t)> term) {
  return reduceStrips(size, lanes, -std::numeric_limits<double>::infinity(), term,
                      [&](Value a, Value b) { return max(a, b); });
}

//===----------------------------------------------------------------------===//
// Scratch
//===----------------------------------------------------------------------===//

Scratch Scratch::allocate(LoopBuilder &host, Value blocks, int64_t bytes) {
  Scratch scratch;
  scratch.bytes = llvm::alignTo(bytes, 256);
  scratch.buffer = host.heap({ShapedType::kDynamic}, host.getI8Type(), host.mul(blocks, host.index(scratch.bytes)));
  return scratch;
}

Value Scratch::of(LoopBuilder &b, Value block, MemRefType type, ValueRange dynamicSizes) const {
  Value offset = b.mul(block, b.index(bytes));
  auto dense = MemRefType::get(type.getShape(), type.getElementType());
  return memref::ViewOp::create(b, dense, buffer, offset, dynamicSizes);
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

void device::emitLaunch(LoopBuilder &host, Value blocks, int64_t threads,
                        llvm::function_ref<void(BlockBuilder &, Value)> body, Value sharedBytes) {
  auto emit = [&] {
    Value one = host.index(1);
    Value dynamic = sharedBytes ? Value(arith::IndexCastOp::create(host, host.getI32Type(), sharedBytes)) : Value();
    auto launch = gpu::LaunchOp::create(host, blocks, one, one, host.index(threads), one, one, dynamic);
    OpBuilder::InsertionGuard guard(host);
    host.setInsertionPointToStart(&launch.getBody().front());
    BlockBuilder b(host, host.getLoc(), launch);
    body(b, launch.getBlockIds().x);
    gpu::TerminatorOp::create(b);
  };
  if (auto constant = getConstantIntValue(blocks)) {
    if (*constant > 0)
      emit();
    return;
  }
  // The driver refuses an empty grid.
  host.ifThen(host.cmp(CmpIPredicate::ne, blocks, host.index(0)), emit);
}

void device::launchForEach(LoopBuilder &host, Value count, llvm::function_ref<void(BlockBuilder &, Value)> body) {
  emitLaunch(host, host.ceilDiv(count, kThreads), kThreads, [&](BlockBuilder &b, Value block) {
    Value element = b.add(b.mul(block, b.index(kThreads)), b.thread());
    b.onEachThread([&] { b.ifThen(b.cmp(CmpIPredicate::ult, element, count), [&] { body(b, element); }); });
  });
}
