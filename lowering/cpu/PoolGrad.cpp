//===- PoolGrad.cpp - the pool's row-sparse gradient in vectors ----------===//
//
// A segment of the sorted pairs is one expert. Its rows' gradients are summed in registers, in pair order, and used at
// once; threads take fixed chunks of segments, so results do not depend on how many there are. The gradient of an
// expert of many rows is a product of matrices, for some of the rows at a time.
//
//===----------------------------------------------------------------------===//

#include "ExpertPanels.h"
#include "Kernels.h"
#include "Rows.h"

#include "lowering/emit/MixForm.h"
#include "lowering/emit/OptimizerStep.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

static constexpr int64_t kSegmentsPerChunk = 64;
/// Segments between a prefetch and the use, at most.
static constexpr int64_t kMostSegmentsAhead = 8;
/// Pairs between a prefetch of coefficients and their use.
static constexpr int64_t kPairsAhead = 16;

/// The gradients of one block of a pool row's vector.
using UseGradient = llvm::function_ref<void(Value row, Value f, ArrayRef<Strip>, ValueRange gradients)>;

/// Asks for the coefficients of a later entry of `order`: they lie by pairs, most of them in another core's cache.
static void prefetchCoefficients(LoopBuilder &b, const RowGrad &grad, Value entry, Value j) {
  if (!grad.flat)
    return;
  Value later = b.min(b.add(entry, b.index(kPairsAhead)), b.sub(grad.pairs, b.index(1)));
  Value row = b.add(b.mul(b.toIndex(b.load(grad.order, {later})), b.index(grad.rowsPerExpert)), j);
  b.prefetch(grad.coef, {b.mul(row, b.index(grad.vectors))});
}

/// The gradients of row j of a segment's expert: of all its vectors in one pass over the pairs, if their sums fit in registers together.
static void emitRowGradients(LoopBuilder &b, const RowGrad &grad, const Segment &segment, Value j, Value row,
                             int64_t width, UseGradient use) {
  auto sumBlock = [&](int64_t first, int64_t vectors, ArrayRef<Strip> strips) {
    Values init;
    for (int64_t f = 0; f < vectors; ++f)
      init.append(zeros(b, strips));
    Values sums = b.loop(segment.begin, segment.end, init, [&](Value entry, ValueRange carried) {
      if (first == 0)
        prefetchCoefficients(b, grad, entry, j);
      Values next;
      for (int64_t f = first; f < first + vectors; ++f) {
        auto [coef, token] = emitPair(b, grad, entry, j, f);
        for (const Strip &s : strips) {
          Value sum = carried[next.size()];
          Value source = b.load(grad.source(f), {token, s.at}, s.lanes);
          next.push_back(b.fma(b.splat(coef, sum.getType()), source, sum));
        }
      }
      return next;
    });
    for (int64_t f = 0; f < vectors; ++f)
      use(row, b.index(first + f), strips, ValueRange(sums).slice(f * strips.size(), strips.size()));
  };
  int64_t together = grad.vectors * grad.width <= blockElements(width) ? grad.vectors : 1;
  for (int64_t f = 0; f < grad.vectors; f += together)
    forEachBlock(b, grad.width, width, [&](ArrayRef<Strip> strips) { sumBlock(f, together, strips); });
}

static Value chunkCount(LoopBuilder &b, const RowGrad &grad) { return b.ceilDiv(grad.segments, kSegmentsPerChunk); }

/// The rows of one chunk's segments, one after the other, each with that row of a segment which comes so many later.
static void emitChunkRows(LoopBuilder &b, const RowGrad &grad, Value chunk, int64_t ahead,
                          llvm::function_ref<void(const Segment &segment, Value j, Value row, Value later)> body) {
  Value low = b.mul(chunk, b.index(kSegmentsPerChunk));
  Value high = b.min(b.add(low, b.index(kSegmentsPerChunk)), grad.segments);
  auto rowOf = [&](Value expert, Value j) { return b.add(b.mul(expert, b.index(grad.rowsPerExpert)), j); };
  b.loop(low, high, [&](Value number) {
    Segment segment = emitSegment(b, grad, number);
    Value later = segment.expert;
    if (ahead > 0)
      later = emitSegment(b, grad, b.min(b.add(number, b.index(ahead)), b.sub(grad.segments, b.index(1)))).expert;
    b.loop(grad.rowsPerExpert, [&](Value j) { body(segment, j, rowOf(segment.expert, j), rowOf(later, j)); });
  });
}

static void emitChunk(LoopBuilder &b, const RowGrad &grad, Value chunk, int64_t width, UseGradient use) {
  emitChunkRows(b, grad, chunk, /*ahead=*/0, [&](const Segment &segment, Value j, Value row, Value) {
    emitRowGradients(b, grad, segment, j, row, width, use);
  });
}

//===----------------------------------------------------------------------===//
// Experts of many rows
//===----------------------------------------------------------------------===//

namespace {
/// The rows of all segments' experts in panels of so many.
class Panels {
public:
  Panels(LoopBuilder &b, const RowGrad &grad, int64_t width)
      : b(b), grad(grad), width(width), perExpert(llvm::divideCeil(grad.rowsPerExpert, kRowsAtOnce)) {}

  Value count() const { return b.mul(grad.segments, b.index(perExpert)); }
  /// For each panel, side by side: its number, its first row in the pool, its rows; `addTo` adds their gradient to a matrix
  /// `rows x F x D` of zeros.
  void forEach(
      llvm::function_ref<void(Value number, Value row, Value rows, llvm::function_ref<void(Value into)> addTo)> body);

private:
  void emitProduct(const Segment &segment, Value of, Value rows, Value into);

  LoopBuilder &b;
  const RowGrad &grad;
  int64_t width, perExpert;
};
} // namespace

void Panels::emitProduct(const Segment &segment, Value of, Value rows, Value into) {
  Type f32 = b.getF32Type();
  Value coefs = b.heap({kPairsAtOnce, rowsAtOnce(grad.rowsPerExpert)}, f32),
        source = b.heap({kPairsAtOnce, grad.width}, f32);
  b.loop(
      segment.begin, segment.end,
      [&](Value first) {
        Value count = b.min(b.sub(segment.end, first), b.index(kPairsAtOnce));
        Value gathered;
        for (int64_t f = 0; f < grad.vectors; ++f) {
          if (gathered != grad.source(f)) {
            gathered = grad.source(f);
            gatherRows(b, gathered, source, grad.order, first, count, grad.heads * grad.selected, width);
          }
          b.loop(count, [&](Value i) {
            Value entry = b.add(first, i);
            b.loop(rows, [&](Value j) { b.store(emitPair(b, grad, entry, b.add(of, j), f).first, coefs, {i, j}); });
          });
          b.sgemm(corner(b, coefs, count, rows), true, corner(b, source, count, b.getIndexAttr(grad.width)), false,
                  vectorsOf(b, into, b.index(0), rows, f), /*beta=*/1);
        }
      },
      kPairsAtOnce);
  b.free(coefs);
  b.free(source);
}

void Panels::forEach(llvm::function_ref<void(Value, Value, Value, llvm::function_ref<void(Value)>)> body) {
  b.parallel({count()}, [&](ValueRange panel) {
    Segment segment = emitSegment(b, grad, b.div(panel[0], b.index(perExpert)));
    Value of = b.mul(b.rem(panel[0], b.index(perExpert)), b.index(kRowsAtOnce));
    Value rows = b.min(b.sub(b.index(grad.rowsPerExpert), of), b.index(kRowsAtOnce));
    body(panel[0], b.add(b.mul(segment.expert, b.index(grad.rowsPerExpert)), of), rows,
         [&](Value into) { emitProduct(segment, of, rows, into); });
  });
}

/// A panel's gradient in scratch, while `body` runs.
static void withGradient(LoopBuilder &b, const RowGrad &grad, int64_t width, llvm::function_ref<void(Value)> addTo,
                         llvm::function_ref<void(Value gradient)> body) {
  Value gradient = b.heap({rowsAtOnce(grad.rowsPerExpert), grad.vectors, grad.width}, b.getF32Type());
  fillZero(b, gradient, width);
  addTo(gradient);
  body(gradient);
  b.free(gradient);
}

/// The sum of what `term` makes of the gradients of a row.
static Value sumOfRow(LoopBuilder &b, const RowGrad &grad, Value gradient, Value j, int64_t width,
                      llvm::function_ref<Value(Value)> term) {
  Value sum;
  for (int64_t f = 0; f < grad.vectors; ++f) {
    Value part = b.sumStrips(b.index(grad.width), width, [&](Value at, int64_t lanes) {
      return term(b.load(gradient, {j, b.index(f), at}, lanes));
    });
    sum = sum ? b.add(sum, part) : part;
  }
  return sum;
}

/// By expert or row by row, as was chosen and as there are pairs.
static void emitEither(LoopBuilder &b, Operation *op, const RowGrad &grad, llvm::function_ref<void()> byExpert,
                       llvm::function_ref<void()> byRow) {
  int64_t from = getGroupFrom(op);
  if (from == 0)
    return byRow();
  b.ifThen(b.cmp(CmpIPredicate::uge, grad.pairs, b.mul(grad.segments, b.index(from))), byExpert, byRow);
}

//===----------------------------------------------------------------------===//
// The ops
//===----------------------------------------------------------------------===//

static void emitPoolGrad(PoolGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value dpool = op.getDpool();
  b.parallel({b.dim(dpool, 0)}, [&](ValueRange row) { fillZero(b, b.slice(dpool, row), options.width); });
  RowGrad grad = emitRowGrad(b, op);
  auto byExpert = [&] {
    Panels(b, grad, options.width).forEach([&](Value, Value row, Value rows, auto addTo) {
      addTo(rowsAt(b, dpool, row, rows));
    });
  };
  auto byRow = [&] {
    b.parallel({chunkCount(b, grad)}, [&](ValueRange chunk) {
      emitChunk(b, grad, chunk[0], options.width,
                [&](Value row, Value f, ArrayRef<Strip> strips, ValueRange gradients) {
                  for (auto [strip, gradient] : llvm::zip(strips, gradients))
                    b.store(gradient, dpool, {row, f, strip.at});
                });
    });
  };
  emitEither(b, op, grad, byExpert, byRow);
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
  Value zero = b.f32(0);
  auto sumOf = [&](Value count, llvm::function_ref<void(Value partial)> emit) {
    Value partial = b.heap({ShapedType::kDynamic}, b.getF32Type(), {count});
    emit(partial);
    emitOrderedSum(b, partial, count, op.getSquares());
    b.free(partial);
  };
  Panels panels(b, grad, options.width);
  auto byExpert = [&](Value partial) {
    panels.forEach([&](Value number, Value, Value rows, auto addTo) {
      withGradient(b, grad, options.width, addTo, [&](Value gradient) {
        Value sum = b.loop(b.index(0), rows, {zero}, [&](Value j, ValueRange carried) {
          auto square = [&](Value value) { return b.mul(value, value); };
          return Values{b.add(carried[0], sumOfRow(b, grad, gradient, j, options.width, square))};
        })[0];
        b.store(sum, partial, {number});
      });
    });
  };
  auto byRow = [&](Value partial) {
    b.parallel({chunkCount(b, grad)}, [&](ValueRange chunk) {
      b.store(zero, partial, chunk);
      emitChunk(b, grad, chunk[0], options.width, [&](Value, Value, ArrayRef<Strip>, ValueRange gradients) {
        addTo(b, partial, chunk,
              llvm::map_to_vector(gradients, [&](Value gradient) { return b.mul(gradient, gradient); }));
      });
    });
  };
  emitEither(b, op, grad, [&] { sumOf(panels.count(), byExpert); }, [&] { sumOf(chunkCount(b, grad), byRow); });
}

/// Row j of a gradient in scratch is that of a pool's row: makes the states of rows, then the elements, some of them at a time, with
/// ahead(f, at, offset), offset being a constant, before each vector that is updated.
static void emitUpdateOfRow(LoopBuilder &b, RowUpdateOp op, const RowGrad &grad, const OptimizerStep &step,
                            Value gradient, Value j, Value row, int64_t width, int64_t elementsAtOnce,
                            llvm::function_ref<void(Value f, Value at, int64_t offset)> ahead) {
  Values means;
  if (step.hasMeans()) {
    Value squares = sumOfRow(b, grad, gradient, j, width, [&](Value value) { return emitSquare(b, step, value); });
    means = emitRowStates(b, step, op.getStates(), row, b.div(squares, b.f32(double(grad.vectors * grad.width))));
  }
  for (int64_t vector = 0; vector < grad.vectors; ++vector) {
    Value f = b.index(vector);
    auto updateSome = [&](Value from, int64_t count) {
      for (int64_t offset = 0; offset < count; offset += width) {
        Value at = b.add(from, b.index(offset));
        int64_t lanes = std::min(width, count - offset);
        ahead(f, at, offset);
        emitUpdateAt(b, step, op.getPool(), op.getStates(), b.load(gradient, {j, f, at}, lanes), {row, f, at}, lanes,
                     means);
      }
    };
    int64_t looped = grad.width / elementsAtOnce * elementsAtOnce;
    if (looped > 0)
      b.loop(b.index(0), b.index(looped), [&](Value from) { updateSome(from, elementsAtOnce); }, elementsAtOnce);
    updateSome(b.index(looped), grad.width - looped);
  }
}

/// Rows of a pool, each with its gradient at once.
static void emitRowsOfExperts(RowUpdateOp op, LoopBuilder &b, const RowGrad &grad, const OptimizerStep &step,
                              int64_t width) {
  Panels(b, grad, width).forEach([&](Value, Value row, Value rows, auto addTo) {
    withGradient(b, grad, width, addTo, [&](Value gradient) {
      b.loop(rows, [&](Value j) {
        emitUpdateOfRow(b, op, grad, step, gradient, j, b.add(row, j), width, /*elementsAtOnce=*/width,
                        [](Value, Value, int64_t) {});
      });
    });
  });
}

static void emitSingleRows(RowUpdateOp op, LoopBuilder &b, const RowGrad &grad, const OptimizerStep &step,
                           int64_t width) {
  Values tables{op.getPool()};
  for (auto [state, kind] : llvm::zip_equal(op.getStates(), step.states))
    if (kind.kind == StateKind::Whole)
      tables.push_back(state);
  // Lines at once, so that the divisions of one are under way with all else of lines beside it.
  int64_t elementsAtOnce = width;
  for (Value table : tables)
    elementsAtOnce = std::max(elementsAtOnce, elementsOfLine(table));
  int64_t bytes = elementBytes(op.getPool()) * grad.rowsPerExpert * grad.vectors * grad.width;
  int64_t ahead = std::clamp<int64_t>(tuned(b, tuning::kRowUpdateAhead) / bytes, 1, kMostSegmentsAhead);
  b.parallel({chunkCount(b, grad)}, [&](ValueRange chunk) {
    Value gradient = b.heap({1, grad.vectors, grad.width}, b.getF32Type()), none = b.index(0);
    emitChunkRows(b, grad, chunk[0], ahead, [&](const Segment &segment, Value j, Value row, Value later) {
      emitRowGradients(b, grad, segment, j, row, width, [&](Value, Value f, ArrayRef<Strip> strips, ValueRange sums) {
        for (auto [strip, sum] : llvm::zip(strips, sums))
          b.store(sum, gradient, {none, f, strip.at});
      });
      // Rows are scattered: a later one comes line by line as this one is computed. All of its lines asked for at once would fill
      // the queue of misses, and this row would wait behind them.
      auto fetch = [&](Value f, Value at, int64_t offset) {
        for (Value table : tables)
          if (offset % elementsOfLine(table) == 0)
            b.prefetch(table, {later, f, at});
      };
      emitUpdateOfRow(b, op, grad, step, gradient, none, row, width, elementsAtOnce, fetch);
    });
    b.free(gradient);
  });
}

static void emitRowUpdate(RowUpdateOp op, LoopBuilder &b, const VectorOptions &options) {
  OptimizerStep step =
      emitOptimizerStep(b, op.getOptimizer(), op.getPool(), op.getLearningRate(), op.getStep(), op.getScale());
  RowGrad grad = emitRowGrad(b, op);
  emitEither(
      b, op, grad, [&] { emitRowsOfExperts(op, b, grad, step, options.width); },
      [&] { emitSingleRows(op, b, grad, step, options.width); });
}

template <typename OpTy>
static void add(LoopEmitters &emitters, void (*emit)(OpTy, LoopBuilder &, const VectorOptions &)) {
  emitters.vectors<OpTy>({.emit = emit});
  emitters.vectors<OpTy>({.emit = emit,
                          .reject = [](OpTy op) { return rejectGrouping(op); },
                          .name = remarks::kProducts,
                          .first = true,
                          .why = [](OpTy op) { return describeGrouping(op); }});
}

void cpu::addPoolGrad(LoopEmitters &emitters) {
  add<PoolGradOp>(emitters, emitPoolGrad);
  add<PoolGradNormOp>(emitters, emitPoolGradNorm);
  add<RowUpdateOp>(emitters, emitRowUpdate);
}
