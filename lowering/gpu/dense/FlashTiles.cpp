//===- FlashTiles.cpp - what attention kernels are made of ---------------===//

#include "FlashTiles.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Steps whose products tensor cores add up, truncating, before f32 additions do.
static constexpr int64_t kChain = 4;

FlashBuilder::FlashBuilder(BlockBuilder &b, HeadWidth head) : b(b), head(head), lane(b) {
  rowOfWarp = b.mul(b.warp(), b.index(16));
}

Value FlashBuilder::column(int64_t n, int64_t e) {
  return b.add(b.mul(lane.member, b.index(2)), b.index(8 * n + e % 2));
}

RowsOfWarp FlashBuilder::loadRows(const Window &from) {
  SmallVector<std::array<Value, 4>> registers;
  Value zero = b.index(0), none = b.f32(0);
  std::array<Value, 2> rows, inside;
  for (int64_t half = 0; half < 2; ++half) {
    rows[half] = b.add(from.row, row(half));
    inside[half] = b.cmp(CmpIPredicate::ult, rows[half], from.rowEnd);
    rows[half] = b.select(inside[half], rows[half], zero);
  }
  for (int64_t step = 0; step < head.steps(); ++step) {
    std::array<Value, 4> &values = registers.emplace_back();
    for (int64_t i = 0; i < 4; ++i) {
      Value column = b.add(b.add(from.column, lane.member), b.index(8 * step + i / 2 * 4));
      Value valid = inside[i % 2];
      if (head.width < 8 * (step + 1)) {
        Value below = b.cmp(CmpIPredicate::ult, column, from.columnEnd);
        column = b.select(below, column, zero);
        valid = arith::AndIOp::create(b, valid, below);
      }
      // An empty buffer has no block: there is a row 0.
      values[i] = b.select(valid, b.loadWide(from.buffer, {rows[i % 2], column}, 1, /*readOnly=*/true), none);
    }
  }
  return [registers](int64_t step) { return registers[step]; };
}

RowsOfWarp FlashBuilder::sharedRows(const TileRows &tile) {
  int64_t stride = head.stride();
  Value base = b.add(tile.offset, b.add(b.mul(row(0), b.index(stride)), lane.member));
  return [this, floats = tile.floats, base, stride](int64_t step) {
    auto load = [&](int64_t i, int64_t j) { return floats.load(b, base, i * stride + 8 * step + j); };
    return std::array<Value, 4>{load(0, 0), load(8, 0), load(0, 4), load(8, 4)};
  };
}

Fragments FlashBuilder::timesTransposed(const RowsOfWarp &rows, const TileRows &tile, int64_t count) {
  int64_t stride = head.stride();
  Value base = b.add(tile.offset, b.add(b.mul(lane.group, b.index(stride)), lane.member));
  Fragments sums, parts;
  for (int64_t step = 0; step < head.steps(); ++step) {
    if (step % kChain == 0)
      parts = zeroFragments(b, count);
    SplitA a = splitA(b, rows(step));
    for (int64_t n = 0; n < count; ++n) {
      auto load = [&](int64_t j) { return tile.floats.load(b, base, 8 * n * stride + 8 * step + j); };
      parts[n] = mmaSplit(b, a, splitB(b, {load(0), load(4)}), parts[n]);
    }
    if ((step + 1) % kChain != 0 && step + 1 != head.steps())
      continue;
    if (sums.empty()) {
      sums = parts;
      continue;
    }
    for (int64_t n = 0; n < count; ++n)
      for (int64_t i = 0; i < 4; ++i)
        sums[n][i] = b.add(sums[n][i], parts[n][i]);
  }
  return sums;
}

Fragments FlashBuilder::addTimes(const Fragments &sum, const Fragments &left, const TileRows &tile,
                                 ArrayRef<Value> factors) {
  int64_t stride = head.stride();
  SmallVector<SplitA> as;
  for (const FragmentC &c : left)
    as.push_back(splitA(b, {c[0], c[2], c[1], c[3]}));
  Value base = b.add(tile.offset, b.add(b.mul(lane.member, b.index(2 * stride)), lane.group));
  Fragments result = sum;
  for (int64_t c = 0; c < head.steps(); ++c) {
    FragmentC part = zeroFragment(b);
    for (auto [n, a] : llvm::enumerate(as)) {
      auto load = [&](int64_t j) { return tile.floats.load(b, base, (8 * int64_t(n) + j) * stride + 8 * c); };
      part = mmaSplit(b, a, splitB(b, {load(0), load(1)}), part);
    }
    // At once, so that few parts are alive.
    for (int64_t e = 0; e < 4; ++e)
      result[c][e] = factors.empty() ? b.add(sum[c][e], part[e]) : b.fma(sum[c][e], factors[e / 2], part[e]);
  }
  return result;
}

Value FlashBuilder::rowSum(Value v) {
  v = b.add(v, b.shuffleXor(v, 1));
  return b.add(v, b.shuffleXor(v, 2));
}

Value FlashBuilder::rowMax(Value v) {
  v = b.max(v, b.shuffleXor(v, 1));
  return b.max(v, b.shuffleXor(v, 2));
}

void FlashBuilder::storeRows(const Fragments &rows, const Window &to) {
  bool pairs = accessWidth(to.buffer, head.width) == 4;
  b.onEachThread([&] {
    for (int64_t half = 0; half < 2; ++half) {
      Value at = b.add(to.row, row(half));
      b.ifThen(b.cmp(CmpIPredicate::ult, at, to.rowEnd), [&] {
        for (auto [n, fragment] : llvm::enumerate(rows)) {
          ArrayRef<Value> values = ArrayRef(fragment).slice(2 * half, 2);
          auto guarded = [&](int64_t e, Value v) {
            Value c = b.add(to.column, column(n, e));
            if (head.width >= 8 * int64_t(n + 1))
              return b.store(v, to.buffer, {at, c});
            b.ifThen(b.cmp(CmpIPredicate::ult, c, to.columnEnd), [&] { b.store(v, to.buffer, {at, c}); });
          };
          if (pairs) {
            guarded(0, vector::FromElementsOp::create(b, VectorType::get({2}, b.getF32Type()), values));
            continue;
          }
          guarded(0, values[0]);
          guarded(1, values[1]);
        }
      });
    }
  });
}

Fragments device::zeroFragments(LoopBuilder &b, int64_t count) { return Fragments(count, zeroFragment(b)); }

void device::append(SmallVectorImpl<Value> &values, const Fragments &fragments) {
  for (const FragmentC &fragment : fragments)
    values.append(fragment.begin(), fragment.end());
}

Fragments device::takeFragments(ValueRange values, size_t first, size_t count) {
  Fragments fragments(count);
  for (size_t n = 0; n < count; ++n)
    for (size_t i = 0; i < 4; ++i)
      fragments[n][i] = values[first + 4 * n + i];
  return fragments;
}

SmallVector<Value> device::forTiles(BlockBuilder &b, Value first, Value end, int64_t stages, ValueRange init,
                                    llvm::function_ref<void(Value, Value)> copy,
                                    llvm::function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) {
  auto start = [&](Value tile) {
    b.ifThen(b.cmp(CmpIPredicate::ult, tile, end), [&] { copy(tile, b.rem(tile, b.index(stages))); });
    commitCopies(b);
  };
  if (stages == 2)
    start(first);
  return b.loop(first, end, init, [&](Value tile, ValueRange carried) {
    start(stages == 2 ? b.add(tile, b.index(1)) : tile);
    awaitCopies(b, stages - 1);
    b.barrier();
    SmallVector<Value> next = body(tile, b.rem(tile, b.index(stages)), carried);
    // The next copy overwrites what others may still read.
    b.barrier();
    return next;
  });
}
