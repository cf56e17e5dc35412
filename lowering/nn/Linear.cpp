//===- Linear.cpp - matrix products, embeddings, shared helpers ----------===//

#include "Emit.h"

#include "dialect/ops/Check.h"

#include "mlir/IR/Matchers.h"

#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

Value nn::emitCount(LoopBuilder &b, Value count) {
  APInt constant;
  if (matchPattern(count, m_ConstantInt(&constant)))
    return b.f32(double(constant.getSExtValue()));
  return b.toF32(count);
}

Value nn::emitReciprocalRoot(LoopBuilder &b, Value a, double epsilon) {
  Type type = a.getType();
  return b.div(b.f32(1, type), b.sqrt(b.add(a, b.f32(epsilon, type))));
}

void nn::emitZero(LoopBuilder &b, Value buffer, int64_t width) {
  if (cast<MemRefType>(buffer.getType()).getRank() == 1)
    return b.strips(b.dim(buffer, 0), width,
                    [&](Value at, int64_t lanes) { b.store(b.f32(0, b.floats(lanes)), buffer, at); });
  b.loop(b.dim(buffer, 0), [&](Value row) {
    b.strips(b.dim(buffer, 1), width,
             [&](Value at, int64_t lanes) { b.store(b.f32(0, b.floats(lanes)), buffer, {row, at}); });
  });
}

Value nn::emitWindow(LoopBuilder &b, Value buffer, OpFoldResult row, OpFoldResult rows, OpFoldResult column,
                     OpFoldResult columns) {
  OpFoldResult one = b.getIndexAttr(1);
  return memref::SubViewOp::create(b, buffer, SmallVector<OpFoldResult>{row, column},
                                   SmallVector<OpFoldResult>{rows, columns}, SmallVector<OpFoldResult>{one, one});
}

void nn::emitProduct(LoopBuilder &builder, int64_t width, Value a, bool transposeA, Value b, bool transposeB, Value c,
                     double beta, double alpha, bool bf16) {
  if (width > 1)
    return builder.sgemm(a, transposeA, b, transposeB, c, beta, alpha, bf16);
  Value inner = builder.dim(a, transposeA ? 0 : 1);
  builder.loop(builder.dim(c, 0), [&](Value i) {
    builder.loop(builder.dim(c, 1), [&](Value j) {
      Value sum = builder.loop(builder.index(0), inner, builder.f32(0), [&](Value k, ValueRange carried) {
        Value left = transposeA ? builder.load(a, {k, i}) : builder.load(a, {i, k});
        Value right = transposeB ? builder.load(b, {j, k}) : builder.load(b, {k, j});
        if (bf16)
          left = builder.roundToBf16(left), right = builder.roundToBf16(right);
        return SmallVector<Value>{builder.fma(left, right, carried[0])};
      })[0];
      if (alpha != 1)
        sum = builder.mul(sum, builder.f32(alpha));
      if (beta != 0)
        sum = builder.fma(builder.load(c, {i, j}), builder.f32(beta), sum);
      builder.store(sum, c, {i, j});
    });
  });
}

void nn::emitBiasRows(LoopBuilder &b, Value bias, Value y, int64_t width) {
  b.loop(b.dim(y, 0), [&](Value t) {
    b.strips(b.dim(y, 1), width, [&](Value at, int64_t lanes) { b.store(b.load(bias, at, lanes), y, {t, at}); });
  });
}

/// So few rows are multiplied here: a library would first copy the whole weight to where it wants it. The runtime's products of f32 on vectors of 16
/// need no copy of their own, and keep the sums of 8 rows in registers.
static int64_t fewRowsOf(LinearOp op, int64_t width) { return width == 16 && !op.getProducts() ? 4 : 8; }

/// y += x w, walking several rows of w at once, for all rows of x: what bounds it is to read w. Of one row the factors stay in registers.
static void emitFewRows(LoopBuilder &b, LinearOp op, int64_t width, bool one) {
  Value x = op.getX(), w = op.getWeight(), y = op.getY();
  auto factor = [&](Value loaded) { return op.getProducts() ? b.roundToBf16(loaded) : loaded; };
  constexpr int64_t kTogether = 8;
  Value inner = b.dim(x, 1), together = b.index(kTogether), whole = b.mul(b.div(inner, together), together);
  auto add = [&](Value k, int64_t count) {
    auto factorsOf = [&](Value t) {
      SmallVector<Value> factors;
      for (int64_t i = 0; i < count; ++i)
        factors.push_back(factor(b.load(x, {t, b.add(k, b.index(i))})));
      return factors;
    };
    SmallVector<Value> only;
    if (one)
      only = factorsOf(b.index(0));
    b.strips(b.dim(y, 1), width, [&](Value at, int64_t lanes) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < count; ++i)
        rows.push_back(factor(b.load(w, {b.add(k, b.index(i)), at}, lanes)));
      b.loop(one ? b.index(1) : b.dim(x, 0), [&](Value t) {
        Value sum = b.load(y, {t, at}, lanes);
        for (auto [row, scalar] : llvm::zip(rows, one ? only : factorsOf(t)))
          sum = b.fma(b.splat(scalar, sum.getType()), row, sum);
        b.store(sum, y, {t, at});
      });
    });
  };
  b.loop(b.index(0), whole, [&](Value k) { add(k, kTogether); }, kTogether);
  b.loop(whole, inner, [&](Value k) { add(k, 1); });
}

// The bias is what the product is added to.
static void emit(LoopBuilder &b, LinearOp op, int64_t width) {
  Value y = op.getY(), bias = op.getBias();
  if (bias)
    emitBiasRows(b, bias, y, width);
  auto product = [&] {
    emitProduct(b, width, op.getX(), op.getTransposeX(), op.getWeight(), op.getTransposeWeight(), y, bias ? 1 : 0,
                /*alpha=*/1, op.getProducts().has_value());
  };
  int64_t rows = dimOf(op.getX(), 0);
  if (width == 1 || op.getTransposeX() || op.getTransposeWeight() ||
      (!ShapedType::isDynamic(rows) && rows > fewRowsOf(op, width)))
    return product();
  auto fewRows = [&] {
    if (!bias)
      emitZero(b, y, width);
    auto rowsOf = [&](bool one) { emitFewRows(b, op, width, one); };
    b.ifThen(b.cmp(arith::CmpIPredicate::eq, b.dim(y, 0), b.index(1)), [&] { rowsOf(true); }, [&] { rowsOf(false); });
  };
  b.ifThen(b.cmp(arith::CmpIPredicate::ule, b.dim(y, 0), b.index(fewRowsOf(op, width))), fewRows, product);
}

void nn::emitOnRows(LoopBuilder &b, EmbeddingOp op, int64_t width) {
  Value table = op.getTable(), y = op.getY();
  b.rows(b.dim(y, 0), [&](Value t) {
    Value row = b.toIndex(b.load(op.getTokens(), t));
    b.strips(b.dim(y, 1), width,
             [&](Value at, int64_t lanes) { b.store(b.load(table, {row, at}, lanes), y, {t, at}); });
  });
}

static void emit(LoopBuilder &b, EmbeddingGradOp op, int64_t width) {
  Value dy = op.getDy(), dtable = op.getDtable();
  emitZero(b, dtable, width);
  b.loop(b.dim(dy, 0), [&](Value t) {
    Value row = b.toIndex(b.load(op.getTokens(), t));
    b.strips(b.dim(dy, 1), width, [&](Value at, int64_t lanes) {
      b.store(b.add(b.load(dtable, {row, at}, lanes), b.load(dy, {t, at}, lanes)), dtable, {row, at});
    });
  });
}

static std::optional<TileSizes> linearTiles(LinearOp op) {
  int64_t most = tuned(op, tuning::kLinearColumns), tokens = tuned(op, tuning::kLinearTokens);
  int64_t rows = dimOf(op.getX(), op.getTransposeX()), columns = dimOf(op.getWeight(), !op.getTransposeWeight());
  // A weight gradient has few, long rows: cut for the threads, not for the cache.
  bool longSum = op.getTransposeX() && (ShapedType::isDynamic(rows) || rows > 64);
  // A tile rounds and packs its part of both operands: products of bf16 take so little time that it must pay for many of them.
  if (op.getProducts() && (longSum || ShapedType::isDynamic(rows)))
    return tile({{"t", longSum ? 128 : 256}, {"j", most}});
  if (longSum)
    return tile({{"t", tuned(op, tuning::kLinearGradientRows)}});
  // Calls of few tokens share out the columns of a weight; to many it makes no difference.
  if (!ShapedType::isDynamic(columns) && columns >= 256)
    most = std::min<int64_t>(most, llvm::alignTo(columns / 2, 64));
  if (ShapedType::isDynamic(rows) && !ShapedType::isDynamic(columns) && columns > most)
    return tile({{"t", tokens}, {"j", most}});
  if (ShapedType::isDynamic(rows) || rows > 64)
    return tile({{"t", tokens}});
  // A product with few rows (decoding) is bound by reading the weight: split its columns.
  if (ShapedType::isDynamic(columns) || rows * columns < kSmallTensor)
    return std::nullopt;
  return tile({{"j", most}});
}

void nn::addLinear(LoopEmitters &emitters) {
  emitters.everyWidth<LinearOp>({.emit = emit, .tileSizes = linearTiles});
  emitters.everyWidth<EmbeddingOp>({.emit = emitOnRows, .tileSizes = [](EmbeddingOp) { return tile({{"t", 128}}); }});
  emitters.everyWidth<EmbeddingGradOp>({.emit = emit, .tileSizes = [](EmbeddingGradOp) { return tile({{"d", 64}}); }});
}
