//===- UpdatePasses.cpp - optimizers that look at a whole parameter ------===//

#include "UpdatePasses.h"

using namespace mlir;
using namespace peer;

/// Rows whose squares are summed one after the other, for all columns; sums of such chunks come next.
static constexpr int64_t kRowsPerChunk = 64;
/// Columns whose chunks are summed at a time.
static constexpr int64_t kColumnsPerUnit = 128;

static SmallVector<OptimizerState> statesOf(UpdateOp op) {
  return op.getOptimizer().getStates(cast<MemRefType>(op.getParam().getType()).getShape());
}

bool peer::isInPasses(UpdateOp op) {
  auto isMean = [](const OptimizerState &state) { return state.kind != StateKind::Whole; };
  return isBounded(op.getOptimizer()) || llvm::any_of(statesOf(op), isMean);
}

static int64_t elementsOf(ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  return elements;
}

/// Rows as states have them; one where there are none.
static int64_t rowsInPasses(UpdateOp op) {
  for (const OptimizerState &state : statesOf(op))
    if (state.kind == StateKind::Row)
      return elementsOf(state.shape);
  return 1;
}

int64_t peer::columnsInPasses(UpdateOp op) {
  return cast<MemRefType>(op.getParam().getType()).getNumElements() / std::max<int64_t>(rowsInPasses(op), 1);
}

namespace {

class Passes {
public:
  Passes(LoopBuilder &host, UpdateOp op, const PassTarget &target)
      : host(host), target(target), kinds(statesOf(op)), rows(rowsInPasses(op)), columns(columnsInPasses(op)),
        bounded(isBounded(op.getOptimizer())) {
    auto view = [&](Value buffer) { return target.flat ? flatten(host, buffer) : buffer; };
    param = view(op.getParam());
    grad = view(op.getGrad());
    for (Value state : op.getStates())
      states.push_back(view(state));
    chunks = (rows + kRowsPerChunk - 1) / kRowsPerChunk;
  }
  void emit();

private:
  bool has(StateKind kind) const {
    return llvm::any_of(kinds, [&](const OptimizerState &state) { return state.kind == kind; });
  }
  /// The position of an element by its number.
  Values place(LoopBuilder &b, Value buffer, Value number) const;
  Value numberOf(LoopBuilder &b, Value row, Value column) const { return b.add(b.mul(row, b.index(columns)), column); }
  Value loadGrad(LoopBuilder &b, Value row, Value column, int64_t lanes) const {
    return b.load(grad, place(b, grad, numberOf(b, row, column)), lanes);
  }
  Value f32s(int64_t size) { return host.heap({size}, host.getF32Type()); }
  Values updateRow(LoopBuilder &b, const OptimizerStep &step, Value row) const;
  Values loadRow(LoopBuilder &b, Value row) const;
  Values loadColumns(LoopBuilder &b, Values means, Value column, int64_t lanes) const;
  Values elementStates(LoopBuilder &b, Values means, Value row, Value column, int64_t lanes) const;
  void emitElements(LoopBuilder &b, const OptimizerStep &step, Value row, ArrayRef<Value> means) const;
  void sumColumns(Value partial);
  void updateColumns(Value partial);
  void average(Value buffer, int64_t size, Value result,
               llvm::function_ref<Value(LoopBuilder &, const OptimizerStep &, Value sum)> use);

  LoopBuilder &host;
  const PassTarget &target;
  SmallVector<OptimizerState> kinds;
  int64_t rows, columns, chunks;
  bool bounded;
  Value param, grad;
  Values states;
};

} // namespace

Values Passes::place(LoopBuilder &b, Value buffer, Value number) const {
  auto type = cast<MemRefType>(buffer.getType());
  Values at(type.getRank());
  for (int64_t i = type.getRank() - 1; i > 0; --i) {
    Value size = b.index(type.getDimSize(i));
    at[i] = b.rem(number, size);
    number = b.div(number, size);
  }
  if (!at.empty())
    at[0] = number;
  return at;
}

/// Makes the new states of a row; null for the others.
Values Passes::updateRow(LoopBuilder &b, const OptimizerStep &step, Value row) const {
  // All lanes of a warp have the old state before one of them stores the new one: the sum brings them together.
  Values old = loadRow(b, row);
  Value sum = b.sumStrips(b.index(columns), target.lanes,
                          [&](Value at, int64_t lanes) { return emitSquare(b, step, loadGrad(b, row, at, lanes)); });
  Value mean = b.div(sum, b.f32(double(columns)));
  for (auto [state, value] : llvm::zip_equal(states, old))
    if (value) {
      value = emitMeanState(b, step, mean, value);
      b.store(value, state, place(b, state, row));
    }
  return old;
}

Values Passes::loadRow(LoopBuilder &b, Value row) const {
  Values means;
  for (auto [state, kind] : llvm::zip_equal(states, kinds))
    means.push_back(kind.kind == StateKind::Row ? b.load(state, place(b, state, row)) : Value());
  return means;
}

Values Passes::loadColumns(LoopBuilder &b, Values means, Value column, int64_t lanes) const {
  for (auto [mean, state, kind] : llvm::zip_equal(means, states, kinds))
    if (kind.kind == StateKind::Column)
      mean = b.load(state, {column}, lanes);
  return means;
}

Values Passes::elementStates(LoopBuilder &b, Values means, Value row, Value column, int64_t lanes) const {
  Values all = loadColumns(b, means, column, lanes);
  for (auto [value, state, kind] : llvm::zip_equal(all, states, kinds))
    if (kind.kind == StateKind::Whole)
      value = b.load(state, place(b, state, numberOf(b, row, column)), lanes);
    else if (kind.kind == StateKind::Row)
      value = b.splat(value, b.floats(lanes));
  return all;
}

void Passes::emitElements(LoopBuilder &b, const OptimizerStep &step, Value row, ArrayRef<Value> means) const {
  b.strips(b.index(columns), target.lanes, [&](Value at, int64_t lanes) {
    Values all = loadColumns(b, Values(means), at, lanes);
    emitUpdateAt(b, step, param, states, loadGrad(b, row, at, lanes), place(b, param, numberOf(b, row, at)), lanes, all,
                 columns);
  });
}

/// partial[chunk * columns + column]: the sum of squares of a chunk's rows.
void Passes::sumColumns(Value partial) {
  target.pass(chunks, kRowsPerChunk * columns, [&](LoopBuilder &b, OptimizerStep step, Value chunk) {
    Value low = b.mul(chunk, b.index(kRowsPerChunk)), high = b.min(b.add(low, b.index(kRowsPerChunk)), b.index(rows));
    b.strips(b.index(columns), target.lanes, [&](Value at, int64_t lanes) {
      Value sum = b.loop(low, high, {b.f32(0, b.floats(lanes))}, [&](Value row, ValueRange carried) {
        return Values{b.add(carried[0], emitSquare(b, step, loadGrad(b, row, at, lanes)))};
      })[0];
      b.store(sum, partial, {numberOf(b, chunk, at)});
    });
  });
}

void Passes::updateColumns(Value partial) {
  int64_t units = (columns + kColumnsPerUnit - 1) / kColumnsPerUnit;
  target.pass(units, kColumnsPerUnit * chunks, [&](LoopBuilder &b, OptimizerStep step, Value unit) {
    Value base = b.mul(unit, b.index(kColumnsPerUnit)), size = b.index(std::min(columns, kColumnsPerUnit));
    if (columns % kColumnsPerUnit != 0 && units > 1)
      size = b.min(size, b.sub(b.index(columns), base));
    b.strips(size, /*lanes=*/1, [&](Value offset, int64_t) {
      Value column = b.add(base, offset);
      Value sum = b.loop(b.index(0), b.index(chunks), {b.f32(0)}, [&](Value chunk, ValueRange carried) {
        return Values{b.add(carried[0], b.load(partial, {numberOf(b, chunk, column)}))};
      })[0];
      Value mean = b.div(sum, b.f32(double(rows)));
      for (auto [state, kind] : llvm::zip_equal(states, kinds))
        if (kind.kind == StateKind::Column)
          b.store(emitMeanState(b, step, mean, b.load(state, {column})), state, {column});
    });
  });
}

/// result[0] = use(the sum of `size` elements of a buffer).
void Passes::average(Value buffer, int64_t size, Value result,
                     llvm::function_ref<Value(LoopBuilder &, const OptimizerStep &, Value sum)> use) {
  target.pass(1, size, [&](LoopBuilder &b, OptimizerStep step, Value) {
    Value sum = b.sumStrips(b.index(size), /*lanes=*/1,
                            [&](Value at, int64_t) { return b.load(buffer, place(b, buffer, at)); });
    b.store(use(b, step, sum), result, {b.index(0)});
  });
}

void Passes::emit() {
  if (cast<MemRefType>(param.getType()).getNumElements() == 0)
    return;
  // A row that nothing else is needed for is read once.
  if (!bounded && !has(StateKind::Column)) {
    target.pass(rows, columns, [&](LoopBuilder &b, OptimizerStep step, Value row) {
      Values means = updateRow(b, step, row);
      emitElements(b, step, row, means);
    });
    return;
  }
  Value partial, rowMean, squares = f32s(rows), bound = f32s(1);
  if (has(StateKind::Column)) {
    partial = f32s(chunks * columns);
    sumColumns(partial);
    updateColumns(partial);
  }
  if (has(StateKind::Row)) {
    target.pass(rows, columns, [&](LoopBuilder &b, OptimizerStep step, Value row) { updateRow(b, step, row); });
    rowMean = f32s(1);
    Value ofRows;
    for (auto [state, kind] : llvm::zip_equal(states, kinds))
      if (kind.kind == StateKind::Row)
        ofRows = state;
    average(ofRows, rows, rowMean,
            [&](LoopBuilder &b, const OptimizerStep &, Value sum) { return b.div(sum, b.f32(double(rows))); });
  }
  auto complete = [&](LoopBuilder &b, OptimizerStep &step) {
    if (rowMean)
      step.rowMean = b.load(rowMean, {b.index(0)});
  };
  target.pass(rows, columns, [&](LoopBuilder &b, OptimizerStep step, Value row) {
    complete(b, step);
    Values means = loadRow(b, row);
    Value sum = b.sumStrips(b.index(columns), target.lanes, [&](Value at, int64_t lanes) {
      Value direction = emitDirection(b, step, loadGrad(b, row, at, lanes), elementStates(b, means, row, at, lanes));
      return b.mul(direction, direction);
    });
    b.store(sum, squares, {row});
  });
  average(squares, rows, bound, [&](LoopBuilder &b, const OptimizerStep &step, Value sum) {
    return emitBound(b, step, b.div(sum, b.f32(double(rows) * double(columns))));
  });
  target.pass(rows, columns, [&](LoopBuilder &b, OptimizerStep step, Value row) {
    complete(b, step);
    step.bound = b.load(bound, {b.index(0)});
    emitElements(b, step, row, loadRow(b, row));
  });
  for (Value buffer : {partial, rowMean, squares, bound})
    if (buffer)
      host.free(buffer);
}

void peer::emitUpdateInPasses(LoopBuilder &host, UpdateOp op, const PassTarget &target) {
  Passes(host, op, target).emit();
}
