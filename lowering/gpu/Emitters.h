//===- Emitters.h - what there is for each op on a GPU -------------------===//
//
// One record per emitter, written in its file: what emits the op's code, what it leaves to others and why, and how the op is cut
// into tiles. Lowering patterns and tile sizes are both made of the records. Block emitters write what one block does with a
// tile; grid emitters take an op that was left whole and launch what it needs.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_EMITTERS_H
#define PEER_LOWERING_GPU_EMITTERS_H

#include "lowering/gpu/GpuInfo.h"
#include "lowering/gpu/block/BlockBuilder.h"

#include "lowering/emit/BufferPattern.h"
#include "lowering/emit/TileTable.h"

namespace peer::device {

template <typename Signature>
class Asked;
/// A function of what is asked of an emitter and, where it wants that, of the GPU.
template <typename Result, typename... Args>
class Asked<Result(Args...)> {
public:
  Asked() = default;
  template <typename Function>
  Asked(Function function) {
    if constexpr (std::is_invocable_v<Function, Args..., const GpuInfo &>)
      call = function;
    else
      call = [function](Args... args, const GpuInfo &) { return function(args...); };
  }
  explicit operator bool() const { return bool(call); }
  Result operator()(Args... args, const GpuInfo &gpu) const { return call(args..., gpu); }

private:
  std::function<Result(Args..., const GpuInfo &)> call;
};

/// `Builder`: that of a block's code, or of the host code that launches.
template <typename OpTy, typename Builder>
struct Emitter {
  Asked<void(OpTy op, Builder &b)> emit;
  /// Why the op is left to other emitters, in the end to plain loops on one thread; or null.
  Asked<const char *(OpTy op)> reject = {};
  /// None: the op is left whole. One emitter of an op says it.
  Asked<std::optional<TileSizes>(OpTy op)> tileSizes = {};
  /// In remarks, of a grid emitter that is one of several: what it is called, and why it takes an op.
  llvm::StringLiteral name = remarks::kGrid;
  typename BufferPattern<OpTy>::Why why = nullptr;
};

/// The emitters for a GPU.
class Emitters {
public:
  explicit Emitters(const GpuInfo &gpu);

  /// A tile's code, preferred to plain loops on one thread.
  template <typename OpTy>
  void block(Emitter<OpTy, BlockBuilder> record) {
    auto emit = [emit = record.emit, gpu = gpu](OpTy op, LoopBuilder &at) {
      BlockBuilder b(at, at.getLoc(), op->template getParentOfType<mlir::gpu::LaunchOp>());
      emit(op, b, gpu);
    };
    add<OpTy>(blocks, remarks::kBlock, emit, record, /*benefit=*/2);
  }
  /// A whole op's launches; of several emitters for an op, the first that takes it.
  template <typename OpTy>
  void grid(Emitter<OpTy, LoopBuilder> record) {
    auto emit = [emit = record.emit, gpu = gpu](OpTy op, LoopBuilder &host) { emit(op, host, gpu); };
    add<OpTy>(grids, record.name, emit, record, /*benefit=*/1);
  }
  /// Of elementwise ops: steps of the outermost loop in a tile.
  void elementwiseTiles(int64_t (*rows)(mlir::linalg::LinalgOp op)) { tiles.setElementwise(rows); }

  /// For ops inside of launches (--peer-lower-to-blocks), and for those of a kernel's host function (--peer-launch-kernels).
  void populateBlocks(mlir::RewritePatternSet &patterns) const;
  void populateGrids(mlir::RewritePatternSet &patterns) const;
  TileSizeModel tileSizes() const { return tiles.model(); }

private:
  using Patterns = std::vector<std::function<void(mlir::RewritePatternSet &)>>;

  template <typename OpTy, typename Builder>
  void add(Patterns &to, llvm::StringLiteral name, typename BufferPattern<OpTy>::Emit emit,
           const Emitter<OpTy, Builder> &record, unsigned benefit) {
    typename BufferPattern<OpTy>::Reject rejected;
    if (record.reject)
      rejected = [reject = record.reject, gpu = gpu](OpTy op) { return reject(op, gpu); };
    to.push_back([=, why = record.why](mlir::RewritePatternSet &patterns) {
      patterns.add<BufferPattern<OpTy>>(patterns.getContext(), name, emit, rejected, benefit, why);
    });
    if (record.tileSizes)
      tiles.add(OpTy::getOperationName(), [sizes = record.tileSizes, gpu = gpu](mlir::Operation *op) {
        return sizes(mlir::cast<OpTy>(op), gpu);
      });
  }

  GpuInfo gpu;
  Patterns blocks, grids;
  TileTable tiles;
};

// Each file registers the emitters it holds.
void addEmbeddingGrad(Emitters &emitters);
void addLosses(Emitters &emitters);
void addColumns(Emitters &emitters);
void addRotary(Emitters &emitters);
void addRows(Emitters &emitters);
void addElementwise(Emitters &emitters);
void addLinear(Emitters &emitters);
void addAttention(Emitters &emitters);
void addAttentionGrad(Emitters &emitters);
void addCachedAttention(Emitters &emitters);
void addStateSpace(Emitters &emitters);
void addScore(Emitters &emitters);
void addRoute(Emitters &emitters);
void addScoreGrad(Emitters &emitters);
void addRouteGrad(Emitters &emitters);
void addRouteKeyGrad(Emitters &emitters);
void addGroupedMix(Emitters &emitters);
void addMix(Emitters &emitters);
void addPool(Emitters &emitters);
void addCapacity(Emitters &emitters);
void addUpdate(Emitters &emitters);

/// linalg ops and copies of a tile (nn/Elementwise.cpp): what there is with plain loops, too.
void populateElementwisePatterns(mlir::RewritePatternSet &patterns);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_EMITTERS_H
