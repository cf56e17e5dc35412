//===- LoopBuilder.h - short names for loops over buffers ----------------===//
//
// What the lowerings of buffer-form ops to loops and vectors are written with.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_LOOPBUILDER_H
#define PEER_LOWERING_EMIT_LOOPBUILDER_H

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace peer {

/// Emits loops, loads, stores and arithmetic on scalars (f32, index, i32) or
/// vectors of them. Binary methods want equal types on both sides.
class LoopBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using Body = llvm::function_ref<void(Value iv)>;
  using CarryBody = llvm::function_ref<llvm::SmallVector<Value>(Value iv, mlir::ValueRange carried)>;

  LoopBuilder(mlir::OpBuilder &b, mlir::Location loc) : ImplicitLocOpBuilder(loc, b) {}
  virtual ~LoopBuilder() = default;

  // --- Constants and sizes -------------------------------------------------
  Value index(int64_t value);
  Value i32(int64_t value);
  Value i64(int64_t value);
  /// A float constant; a splat if `like` is a vector type (default: scalar f32).
  Value f32(double value, mlir::Type like = {});
  /// Size of a buffer's dimension: a constant where static.
  Value dim(Value buffer, unsigned i);
  int64_t staticDim(Value buffer, unsigned i);
  /// vector<lanes x f32>, or scalar f32 for one lane.
  mlir::Type floats(int64_t lanes);

  // --- Arithmetic ----------------------------------------------------------
  Value add(Value a, Value b); // float or integer or index
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b); // float; unsigned for index
  Value rem(Value a, Value b); // unsigned, index or integer
  /// a / b rounded up, of index values.
  Value ceilDiv(Value a, Value b);
  Value ceilDiv(Value a, int64_t b) { return ceilDiv(a, index(b)); }
  Value fma(Value a, Value b, Value c);
  Value max(Value a, Value b); // float: maximumf (NaN wins); integers: signed
  Value min(Value a, Value b);
  Value exp(Value a);
  Value log(Value a);
  Value sqrt(Value a);
  Value neg(Value a);
  Value cmp(mlir::arith::CmpFPredicate p, Value a, Value b);
  Value cmp(mlir::arith::CmpIPredicate p, Value a, Value b);
  Value select(Value condition, Value a, Value b);
  /// index <-> i32/i64 and i32/i64/index -> f32.
  Value toIndex(Value a);
  Value toI32(Value a);
  Value toF32(Value a);
  /// The nearest f32 that a bf16 holds, scalar or vector.
  Value roundToBf16(Value a);
  /// Scalar to all lanes of `like` (a scalar type: itself).
  Value splat(Value scalar, mlir::Type like);
  /// Sum or maximum of a vector's lanes (a scalar: itself).
  Value sumLanes(Value v);
  Value maxLanes(Value v);

  // --- Memory --------------------------------------------------------------
  /// One element; bf16, i8 and fp8 are widened to f32.
  Value load(Value buffer, mlir::ValueRange at);
  /// `lanes` elements along the last dimension, bf16, i8 and fp8 widened to f32 (lanes 1: a scalar).
  virtual Value load(Value buffer, mlir::ValueRange at, int64_t lanes);
  /// Scalar or vector, narrowed to bf16 if the buffer holds that.
  virtual void store(Value v, Value buffer, mlir::ValueRange at);
  void prefetch(Value buffer, mlir::ValueRange at);
  /// Stack scratch. Call it outside the op's own loops: the stack grows by each execution.
  Value stack(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  Value heap(mlir::ArrayRef<int64_t> shape, mlir::Type element, mlir::ValueRange dynamic = {});
  void free(Value buffer);
  /// Rank-reducing slice: buffer[at..., :, :] with the first `at.size()` dimensions fixed.
  Value slice(Value buffer, mlir::ValueRange at);

  // --- Control flow --------------------------------------------------------
  void loop(Value low, Value high, Body body, int64_t step = 1);
  void loop(int64_t high, Body body) { loop(index(0), index(high), body); }
  void loop(Value high, Body body) { loop(index(0), high, body); }
  llvm::SmallVector<Value> loop(Value low, Value high, mlir::ValueRange init, CarryBody body, int64_t step = 1);
  /// scf.parallel from 0 to each bound; iterations must be independent.
  void parallel(mlir::ValueRange high, llvm::function_ref<void(mlir::ValueRange)> body);
  void ifThen(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = nullptr);

  /// A loop over independent rows. A target that runs rows side by side spreads it.
  virtual void rows(Value count, Body body) { loop(count, body); }
  /// Walks [0, size) in strips: a loop of `lanes` wide ones, then one narrower
  /// strip for a static remainder (or a loop of single elements for a dynamic size).
  virtual void strips(Value size, int64_t lanes, llvm::function_ref<void(Value offset, int64_t lanes)> body);
  /// Sum over [0, size) of `term` (a float scalar or vector of the given lanes), with
  /// four independent accumulators for long rows.
  virtual Value sumStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value offset, int64_t lanes)> term);
  /// Maximum, likewise; -inf for an empty range.
  virtual Value maxStrips(Value size, int64_t lanes, llvm::function_ref<Value(Value offset, int64_t lanes)> term);

  // --- Calls ---------------------------------------------------------------
  /// C = alpha * op(A) op(B) + beta * C by the runtime's serial BLAS; A, B, C are rank-2 f32
  /// buffers with unit inner stride (slices are fine); transposes as said. `bf16`: elements of A and B are rounded to it first.
  void sgemm(Value a, bool transposeA, Value b, bool transposeB, Value c, double beta = 0.0, double alpha = 1.0,
             bool bf16 = false);
};

/// act(a) for a scalar or vector a.
mlir::Value emitActivation(LoopBuilder &b, Activation kind, mlir::Value a);
/// act'(a); relu'(0) is 0.
mlir::Value emitActivationGrad(LoopBuilder &b, Activation kind, mlir::Value a);
/// 1 / (1 + exp(-a)), finite for every finite a.
mlir::Value emitSigmoid(LoopBuilder &b, mlir::Value a);

} // namespace peer

#endif // PEER_LOWERING_EMIT_LOOPBUILDER_H
