//===- Rows.cpp - dot products and sums of rows in registers -------------===//

#include "Rows.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

// Half the vector registers: AVX-512 has 32 of them, the others 16.
int64_t cpu::blockElements(int64_t width) { return width * (width >= 16 ? 16 : 8); }

void cpu::forEachBlock(LoopBuilder &b, int64_t size, int64_t width, llvm::function_ref<void(ArrayRef<Strip>)> body) {
  int64_t block = blockElements(width), full = size / block * block;
  auto emit = [&](Value base, int64_t elements) {
    SmallVector<Strip> strips;
    for (int64_t at = 0; at < elements; at += width)
      strips.push_back({b.add(base, b.index(at)), std::min(width, elements - at)});
    body(strips);
  };
  if (full == block)
    emit(b.index(0), block);
  else if (full > 0)
    b.loop(b.index(0), b.index(full), [&](Value base) { emit(base, block); }, block);
  if (size > full)
    emit(b.index(full), size - full);
}

Values cpu::sumRows(LoopBuilder &b, Value low, Value high, ArrayRef<Strip> strips, ValueRange init,
                    llvm::function_ref<void(Value, llvm::function_ref<void(Value, RowLoad)>)> step) {
  return b.loop(low, high, init, [&](Value i, ValueRange carried) {
    Values sums(carried);
    step(i, [&](Value scale, RowLoad row) {
      for (auto [sum, strip] : llvm::zip(sums, strips))
        sum = b.fma(b.splat(scale, sum.getType()), row(strip), sum);
    });
    return sums;
  });
}

Values cpu::zeros(LoopBuilder &b, ArrayRef<Strip> strips) {
  return llvm::map_to_vector(strips, [&](const Strip &strip) { return b.f32(0, b.floats(strip.lanes)); });
}

Values cpu::dots(LoopBuilder &b, int64_t size, int64_t width, unsigned count,
                 llvm::function_ref<SmallVector<std::pair<Value, Value>>(const Strip &)> terms,
                 llvm::function_ref<void(Value, int64_t)> ahead) {
  // Four chains hide the latency of an fma; several dots bring chains of their own.
  int64_t chains = count > 1 && width < 16 ? 2 : 4, block = chains * width, full = size / block * block;
  Values sums(count * chains, b.f32(0, b.floats(width)));
  auto accumulate = [&](MutableArrayRef<Value> into, int64_t chain, const Strip &strip) {
    for (auto [dot, term] : llvm::enumerate(terms(strip))) {
      Value &sum = into[dot * chains + chain];
      sum = b.fma(term.first, term.second, sum);
    }
  };
  if (full > 0)
    sums = b.loop(
        b.index(0), b.index(full), sums,
        [&](Value at, ValueRange carried) {
          Values next(carried);
          ahead(at, block);
          for (int64_t chain = 0; chain < chains; ++chain)
            accumulate(next, chain, {b.add(at, b.index(chain * width)), width});
          return next;
        },
        block);
  int64_t at = full;
  if (at < size)
    ahead(b.index(at), size - at);
  for (int64_t chain = 0; at + width <= size; at += width, ++chain)
    accumulate(sums, chain, {b.index(at), width});
  Values results;
  for (unsigned dot = 0; dot < count; ++dot) {
    Value total = sums[dot * chains];
    for (int64_t chain = 1; chain < chains; ++chain)
      total = b.add(total, sums[dot * chains + chain]);
    results.push_back(b.sumLanes(total));
  }
  if (at < size)
    for (auto [result, term] : llvm::zip(results, terms({b.index(at), size - at})))
      result = b.add(result, b.sumLanes(b.mul(term.first, term.second)));
  return results;
}

int64_t cpu::elementBytes(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementTypeBitWidth() / 8; }
int64_t cpu::elementsOfLine(Value buffer) { return 64 / elementBytes(buffer); }

void cpu::prefetchVector(LoopBuilder &b, Value table, ValueRange vector, Value at, int64_t elements) {
  for (int64_t offset = 0, line = elementsOfLine(table); offset < elements; offset += line) {
    Values position(vector);
    position.push_back(b.add(at, b.index(offset)));
    b.prefetch(table, position);
  }
}

void cpu::fillZero(LoopBuilder &b, Value buffer, int64_t width) {
  unsigned outer = cast<MemRefType>(buffer.getType()).getRank() - 1;
  nest(b, dims(b, buffer, outer), [&](ArrayRef<Value> at) {
    b.strips(b.dim(buffer, outer), width, [&](Value offset, int64_t lanes) {
      Values position(at);
      position.push_back(offset);
      b.store(b.f32(0, b.floats(lanes)), buffer, position);
    });
  });
}
