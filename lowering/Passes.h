//===- Passes.h - from the tiled level to kernels ------------------------===//

#ifndef PEER_LOWERING_PASSES_H
#define PEER_LOWERING_PASSES_H

#include "lowering/emit/MixForm.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace peer {

#define GEN_PASS_DECL
#include "LoweringPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "LoweringPasses.h.inc"

} // namespace peer

#endif // PEER_LOWERING_PASSES_H
