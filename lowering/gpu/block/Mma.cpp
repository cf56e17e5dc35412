//===- Mma.cpp - products on the tensor cores ----------------------------===//

#include "Mma.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

MmaLane::MmaLane(BlockBuilder &b) {
  Value lane = b.lane();
  group = b.div(lane, b.index(4));
  member = b.rem(lane, b.index(4));
}

FragmentC device::zeroFragment(LoopBuilder &b) {
  FragmentC zeros;
  zeros.fill(b.f32(0));
  return zeros;
}

static FragmentC emitMma(LoopBuilder &b, const FragmentA &a, const FragmentB &v, const FragmentC &c, int64_t depth,
                         NVVM::MMATypes type) {
  Type f32 = b.getF32Type();
  auto result = LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  Value product = NVVM::MmaOp::create(
      b, result, ArrayRef<Value>(a), ArrayRef<Value>(v), ArrayRef<Value>(c), ArrayRef<int64_t>{16, 8, depth},
      /*b1Op=*/std::nullopt, /*intOverflow=*/std::nullopt, std::array<NVVM::MMATypes, 2>{type, type},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col});
  FragmentC d;
  for (int64_t i = 0; i < 4; ++i)
    d[i] = LLVM::ExtractValueOp::create(b, product, i);
  return d;
}

FragmentC device::mmaTf32(LoopBuilder &b, const FragmentA &a, const FragmentB &v, const FragmentC &c) {
  return emitMma(b, a, v, c, 8, NVVM::MMATypes::tf32);
}

FragmentC device::mmaBf16(LoopBuilder &b, const FragmentA &a, const FragmentB &v, const FragmentC &c) {
  return emitMma(b, a, v, c, 16, NVVM::MMATypes::bf16);
}

// The back end expands a truncation to bf16 into integer arithmetic; the intrinsic is one instruction.
Value device::packBf16(LoopBuilder &b, Value low, Value high) {
  Type pair = VectorType::get({2}, b.getBF16Type());
  Value narrow =
      LLVM::CallIntrinsicOp::create(b, pair, b.getStringAttr("llvm.nvvm.ff2bf16x2.rn"), ValueRange{high, low})
          .getResult(0);
  return LLVM::BitcastOp::create(b, b.getI32Type(), narrow);
}

// In integers: cvt.rna leaves the bits that tf32 does not have undefined, and they must be zero for the rest to be exact. A NaN
// whose sign the carry turns stays one in the rest.
Value device::toTf32(LoopBuilder &b, Value v) {
  Value bits = arith::BitcastOp::create(b, b.getI32Type(), v);
  return arith::AndIOp::create(b, b.add(bits, b.i32(0x1000)), b.i32(~0x1fff));
}

/// The rest needs no rounding of its own: the hardware drops the one or two bits that tf32 does not have.
static std::pair<Value, Value> split(LoopBuilder &b, Value v) {
  Value high = toTf32(b, v);
  Value rest = b.sub(v, arith::BitcastOp::create(b, b.getF32Type(), high));
  return {high, arith::BitcastOp::create(b, b.getI32Type(), rest)};
}

SplitA device::splitA(LoopBuilder &b, const std::array<Value, 4> &f32s) {
  SplitA parts;
  for (size_t i = 0; i < 4; ++i)
    std::tie(parts.high[i], parts.low[i]) = split(b, f32s[i]);
  return parts;
}

SplitB device::splitB(LoopBuilder &b, const std::array<Value, 2> &f32s) {
  SplitB parts;
  for (size_t i = 0; i < 2; ++i)
    std::tie(parts.high[i], parts.low[i]) = split(b, f32s[i]);
  return parts;
}

FragmentC device::mmaSplit(LoopBuilder &b, const SplitA &a, const SplitB &v, const FragmentC &c) {
  return mmaTf32(b, a.high, v.high, mmaTf32(b, a.high, v.low, mmaTf32(b, a.low, v.high, c)));
}

FragmentC device::mmaExact(LoopBuilder &b, const SplitA &a, const std::array<Value, 2> &f32s, const FragmentC &c) {
  FragmentB v;
  for (size_t i = 0; i < 2; ++i)
    v[i] = arith::BitcastOp::create(b, b.getI32Type(), f32s[i]);
  return mmaTf32(b, a.high, v, mmaTf32(b, a.low, v, c));
}
