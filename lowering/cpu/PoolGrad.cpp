//===- PoolGrad.cpp - the pool's row-sparse gradient in vectors ----------===//
//
// A segment of the sorted pairs is one expert. Its rows' gradients are summed in registers, in pair order, and used at
// once; threads take fixed chunks of segments, so results do not depend on how many there are.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "Rows.h"

#include "lowering/emit/OptimizerStep.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

static constexpr int64_t kSegmentsPerChunk = 64;
/// Segments between a prefetch and the use.
static constexpr int64_t kPrefetchDistance = 4;
/// Elements per vector of a row that are prefetched; the hardware goes on from there.
static constexpr int64_t kMostPrefetched = 1024;

/// The gradients of one block of a pool row's vector.
using UseGradient = llvm::function_ref<void(Value row, Value f, ArrayRef<Strip>, ValueRange gradients)>;

/// The gradients of row j of a segment's expert.
static void emitRowGradients(LoopBuilder &b, const RowGrad &grad, const Segment &segment, Value j, Value row,
                             int64_t width, UseGradient use) {
  for (int64_t f = 0; f < grad.vectors; ++f)
    forEachBlock(b, grad.width, width, [&](ArrayRef<Strip> strips) {
      Values sums = sumRows(b, segment.begin, segment.end, strips, zeros(b, strips), [&](Value entry, auto add) {
        auto [coef, token] = emitPair(b, grad, entry, j, f);
        Value source = grad.source(f), t = token;
        add(coef, [&](const Strip &s) { return b.load(source, {t, s.at}, s.lanes); });
      });
      use(row, b.index(f), strips, sums);
    });
}

static Value chunkCount(LoopBuilder &b, const RowGrad &grad) { return b.ceilDiv(grad.segments, kSegmentsPerChunk); }

/// The rows of one chunk's segments, one after the other; `ahead` gets the first pool row of a later one.
static void emitChunkRows(LoopBuilder &b, const RowGrad &grad, Value chunk,
                          llvm::function_ref<void(const Segment &segment, Value j, Value row)> body,
                          llvm::function_ref<void(Value row)> ahead = nullptr) {
  Value low = b.mul(chunk, b.index(kSegmentsPerChunk));
  Value high = b.min(b.add(low, b.index(kSegmentsPerChunk)), grad.segments);
  b.loop(low, high, [&](Value number) {
    if (ahead) {
      Value later = b.min(b.add(number, b.index(kPrefetchDistance)), b.sub(high, b.index(1)));
      ahead(b.mul(emitSegment(b, grad, later).expert, b.index(grad.rowsPerExpert)));
    }
    Segment segment = emitSegment(b, grad, number);
    b.loop(grad.rowsPerExpert,
           [&](Value j) { body(segment, j, b.add(b.mul(segment.expert, b.index(grad.rowsPerExpert)), j)); });
  });
}

static void emitChunk(LoopBuilder &b, const RowGrad &grad, Value chunk, int64_t width, UseGradient use) {
  emitChunkRows(b, grad, chunk, [&](const Segment &segment, Value j, Value row) {
    emitRowGradients(b, grad, segment, j, row, width, use);
  });
}

static void emitPoolGrad(PoolGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value dpool = op.getDpool();
  b.parallel({b.dim(dpool, 0)}, [&](ValueRange row) { fillZero(b, b.slice(dpool, row), options.width); });
  RowGrad grad = emitRowGrad(b, op);
  b.parallel({chunkCount(b, grad)}, [&](ValueRange chunk) {
    emitChunk(b, grad, chunk[0], options.width, [&](Value row, Value f, ArrayRef<Strip> strips, ValueRange gradients) {
      for (auto [strip, gradient] : llvm::zip(strips, gradients))
        b.store(gradient, dpool, {row, f, strip.at});
    });
  });
}

/// sums[at] += all lanes of some vectors.
static void addTo(LoopBuilder &b, Value sums, ValueRange at, ValueRange terms) {
  Value wide, sum = b.load(sums, at);
  for (Value term : terms) {
    // Only the last strip can be narrower than the first.
    if (wide && wide.getType() != term.getType())
      sum = b.add(sum, b.sumLanes(term));
    else
      wide = wide ? b.add(wide, term) : term;
  }
  b.store(b.add(sum, b.sumLanes(wide)), sums, at);
}

static void emitPoolGradNorm(PoolGradNormOp op, LoopBuilder &b, const VectorOptions &options) {
  RowGrad grad = emitRowGrad(b, op);
  Value chunks = chunkCount(b, grad), zero = b.f32(0);
  Value partial = b.heap({ShapedType::kDynamic}, b.getF32Type(), {chunks});
  b.parallel({chunks}, [&](ValueRange chunk) {
    b.store(zero, partial, chunk);
    emitChunk(b, grad, chunk[0], options.width, [&](Value, Value, ArrayRef<Strip>, ValueRange gradients) {
      addTo(b, partial, chunk,
            llvm::map_to_vector(gradients, [&](Value gradient) { return b.mul(gradient, gradient); }));
    });
  });
  emitOrderedSum(b, partial, chunks, op.getSquares());
  b.free(partial);
}

static void emitRowUpdate(RowUpdateOp op, LoopBuilder &b, const VectorOptions &options) {
  OptimizerStep step =
      emitOptimizerStep(b, op.getOptimizer(), op.getPool(), op.getLearningRate(), op.getStep(), op.getScale());
  RowGrad grad = emitRowGrad(b, op);
  Values tables{op.getPool()};
  for (auto [state, kind] : llvm::zip_equal(op.getStates(), step.states))
    if (kind.kind == StateKind::Whole)
      tables.push_back(state);
  // Of each chunk, the sum of squares of the row it is at: with those of rows in registers a row would be too wide.
  Value squares;
  if (step.hasMeans())
    squares = b.heap({ShapedType::kDynamic}, b.getF32Type(), {chunkCount(b, grad)});
  // Rows are scattered: the tables' next ones are on their way while this one is computed.
  auto prefetch = [&](Value row) {
    for (Value table : tables)
      prefetchRow(b, table, row, b.index(0), std::min<int64_t>(grad.width, kMostPrefetched));
  };
  b.parallel({chunkCount(b, grad)}, [&](ValueRange chunk) {
    auto update = [&](const Segment &segment, Value j, Value row) {
      Values means;
      if (squares) {
        b.store(b.f32(0), squares, chunk);
        emitRowGradients(
            b, grad, segment, j, row, options.width, [&](Value, Value, ArrayRef<Strip>, ValueRange gradients) {
              addTo(b, squares, chunk,
                    llvm::map_to_vector(gradients, [&](Value gradient) { return emitSquare(b, step, gradient); }));
            });
        Value mean = b.div(b.load(squares, chunk), b.f32(double(grad.vectors * grad.width)));
        means = emitRowStates(b, step, op.getStates(), row, mean);
      }
      emitRowGradients(b, grad, segment, j, row, options.width,
                       [&](Value row, Value f, ArrayRef<Strip> strips, ValueRange gradients) {
                         for (auto [strip, gradient] : llvm::zip(strips, gradients))
                           emitUpdateAt(b, step, op.getPool(), op.getStates(), gradient, {row, f, strip.at},
                                        strip.lanes, means);
                       });
    };
    emitChunkRows(b, grad, chunk[0], update, prefetch);
  });
  if (squares)
    b.free(squares);
}

void cpu::addPoolGrad(LoopEmitters &emitters) {
  emitters.vectors<PoolGradOp>({.emit = emitPoolGrad});
  emitters.vectors<PoolGradNormOp>({.emit = emitPoolGradNorm});
  emitters.vectors<RowUpdateOp>({.emit = emitRowUpdate});
  // usage and sort_pairs are chains of dependent scalar steps: their plain loops are all there is.
}
