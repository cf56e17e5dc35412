//===- BlockBuilder.h - code that a block of threads executes together ---===//
//
// What the lowerings of buffer-form ops to GPUs are written with. All threads of a block reach every call of a
// builder method unless it says otherwise, so values that do not come from thread(), warp() or lane() are the same in
// all of them.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_BLOCKBUILDER_H
#define PEER_LOWERING_GPU_BLOCK_BLOCKBUILDER_H

#include "lowering/emit/LoopBuilder.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace peer::device {

inline constexpr int64_t kWarpSize = 32;
/// Threads of a block, where an emitter has no reason for another number.
inline constexpr int64_t kThreads = 256;
/// Where noteBlocks() writes on a launch; --peer-outline-launches says it of the kernel.
inline constexpr llvm::StringLiteral kBlocksAttr = "peer.blocks";

/// Emits the code of one block inside a gpu.launch.
///
/// The vocabulary of LoopBuilder is there with a meaning for warps: rows() gives each warp its rows; strips(), sumStrips() and
/// maxStrips() spread a row over the lanes of the warp, and reductions give their result to every lane; a store outside
/// strips is done by one lane. So an emitter written with rows and strips serves both targets.
/// A lane takes `lanes` neighbouring elements at a time where the size is a constant multiple of that, else one: who asks for
/// more than one must know that the rows are aligned to as many elements (alignedLanes() does).
class BlockBuilder : public LoopBuilder {
public:
  /// `launch` encloses the insertion point.
  BlockBuilder(mlir::OpBuilder &b, mlir::Location loc, mlir::gpu::LaunchOp launch);

  // --- What the assembler is told ------------------------------------------
  /// How many blocks of this kernel shall fit on a multiprocessor: the assembler takes the registers that this leaves. Of
  /// itself it would rather keep a few values in memory to make room for one block more. Of two numbers the lower counts.
  void noteBlocks(int64_t blocks);

  // --- Who am I ------------------------------------------------------------
  int64_t threads() const { return threadCount; }
  int64_t warps() const { return threadCount / kWarpSize; }
  Value thread(); // index, 0 .. threads() - 1
  Value warp();
  Value lane();

  // --- Synchronisation -----------------------------------------------------
  /// Waits for all threads of the block; memory written before is seen after.
  void barrier();
  /// The same for the lanes of a warp.
  void warpBarrier();

  // --- Work for some threads -----------------------------------------------
  /// [0, count) over the threads of the block, over its warps, over the lanes of the warp.
  void forThreads(Value count, Body body);
  void forWarps(Value count, Body body);
  void forLanes(Value count, Body body);
  /// One thread of the block, one lane of the warp.
  void onOneThread(llvm::function_ref<void()> body);
  void onOneLane(llvm::function_ref<void()> body);
  /// Every thread for itself: a store inside is done by whoever reaches it.
  void onEachThread(llvm::function_ref<void()> body);

  // --- Exchange within a warp ----------------------------------------------
  /// The value (32 bits) of the lane whose number differs in `mask`.
  Value shuffleXor(Value v, int64_t mask);
  /// The value (32 bits) of lane `source` (i32).
  Value shuffle(Value v, Value source);
  /// Bit i of the i32 result: lane i's condition.
  Value ballot(Value condition);
  /// Butterfly over the lanes: every lane has the result, the order of additions is fixed.
  Value warpSum(Value v);
  Value warpMax(Value v);
  /// Sum or maximum over all threads of the block in a fixed order; every thread has it. Contains barriers.
  Value blockSum(Value v);
  Value blockMax(Value v);

  // --- Memory --------------------------------------------------------------
  /// Memory of the block; its contents are undefined at first.
  Value shared(mlir::ArrayRef<int64_t> shape, mlir::Type element);
  /// `lanes` elements along the last dimension as they are stored, with an access as wide as `lanes` elements: the
  /// address must be a multiple of that. `readOnly`: nothing writes the buffer while the kernel runs; of fp8 i8 with its bits.
  Value loadWide(Value buffer, mlir::ValueRange at, int64_t lanes, bool readOnly = false);
  /// The generic pointer to buffer[at...], and one to global memory.
  Value address(Value buffer, mlir::ValueRange at);
  Value globalAddress(Value buffer, mlir::ValueRange at);

  // --- LoopBuilder's vocabulary --------------------------------------------
  using LoopBuilder::load;
  Value load(Value buffer, mlir::ValueRange at, int64_t lanes) override;
  void store(Value v, Value buffer, mlir::ValueRange at) override;
  void rows(Value count, Body body) override { forWarps(count, body); }
  void strips(Value size, int64_t lanes, llvm::function_ref<void(Value offset, int64_t lanes)> body) override;
  Value sumStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value offset, int64_t lanes)> term) override;
  Value maxStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value offset, int64_t lanes)> term) override;

private:
  /// Who executes what is emitted now: decides what a store means.
  enum class Scope { Everyone, OneWarp, OneThread };
  void forStrided(Value first, Value count, int64_t step, Scope inner, Body body);
  Value reduceStrips(Value size, int64_t lanes, double identity, llvm::function_ref<Value(Value, int64_t)> term,
                     llvm::function_ref<Value(Value, Value)> join);
  llvm::SmallVector<Value> walkRow(Value size, int64_t lanes, mlir::ValueRange init,
                                   llvm::function_ref<llvm::SmallVector<Value>(Value, int64_t, mlir::ValueRange)> body);
  Value reduceWarp(Value v, llvm::function_ref<Value(Value, Value)> join);
  Value reduceBlock(Value v, llvm::function_ref<Value(Value, Value)> join);

  mlir::gpu::LaunchOp launch;
  int64_t threadCount;
  Scope scope = Scope::Everyone;
};

/// Global memory that each block of a launch has a part of.
struct Scratch {
  mlir::Value buffer; // blocks * bytes of i8
  int64_t bytes;      // per block

  /// Allocates on the host, before the launch; free it after.
  static Scratch allocate(LoopBuilder &host, mlir::Value blocks, int64_t bytes);
  /// The part of `block`, as a dense buffer of this type.
  mlir::Value of(LoopBuilder &b, mlir::Value block, mlir::MemRefType type, mlir::ValueRange dynamicSizes = {}) const;
};

/// Launches `blocks` blocks of `threads` threads, none if `blocks` (index) is 0; `body` emits what a block does.
/// `sharedBytes` (index, may be null) of dynamic shared memory.
void emitLaunch(LoopBuilder &host, mlir::Value blocks, int64_t threads,
                llvm::function_ref<void(BlockBuilder &b, mlir::Value block)> body, mlir::Value sharedBytes = {});
/// Launches a thread for each of `count` (index) elements, which does `body` for itself.
void launchForEach(LoopBuilder &host, mlir::Value count,
                   llvm::function_ref<void(BlockBuilder &b, mlir::Value element)> body);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_BLOCKBUILDER_H
