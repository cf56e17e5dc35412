//===- Passes.td - from the tiled level to kernels -----------------------===//

#ifndef PEER_LOWERING_PASSES_TD
#define PEER_LOWERING_PASSES_TD

include "mlir/Pass/PassBase.td"

class Peer_LoweringPass<string name> : Pass<name, "::mlir::ModuleOp"> {
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"];
}

def DerivePackedKeys : Pass<"peer-derive-packed-keys", "::mlir::ModuleOp"> {
  let summary = "keys that are parameters are packed outside of the calls that route by them";
  let description = [{
    For each route that vectors take, and whose keys are a parameter of the entry, the packed keys become an argument with the role `derived` that has the parameter's name;
    an entry of kind `derive` makes them of the parameter, and the runtime calls that when it has changed. `peer.route %q, %keys` becomes `peer.route %q, %keys packed(%packed : ...)`.
  }];
  let options = [Option<"width", "width", "int64_t", "16", "Lanes of f32 in one vector.">];
}

def LowerReshape : Pass<"peer-lower-reshape"> {
  let summary = "peer.reshape to upstream's collapse and expand";
  let description = [{
    Every shape by way of one dimension: row-major order makes both steps views.

    ```mlir
    %h = peer.reshape %q to tensor<?x8x128xf32> : tensor<?x1024xf32>
    ```
    becomes
    ```mlir
    %flat = tensor.collapse_shape %q [[0, 1]] : tensor<?x1024xf32> into tensor<?xf32>
    %h = tensor.expand_shape %flat [[0, 1, 2]] output_shape [%tokens, 8, 128] : tensor<?xf32> into tensor<?x8x128xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def SaturateConversions : Pass<"peer-saturate-conversions", "::mlir::func::FuncOp"> {
  let summary = "floats that no integer is become the nearest one, on every target";
  let description = [{
    A conversion of what does not fit has no value, so that what is computed from it, an index that was clamped included, may be
    anything once it is folded. In the bodies of linalg ops:

    ```mlir
    %i = arith.fptosi %x : f32 to i32
    ```
    becomes
    ```mlir
    %above = arith.maxnumf %x, %cst : f32       // -2^31, a NaN's number, too
    %inside = arith.minnumf %above, %cst_0 : f32 // the largest f32 below 2^31
    %i = arith.fptosi %inside : f32 to i32
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FillConstants : Pass<"peer-fill-constants"> {
  let summary = "large tensors of one value are filled, not stored";
  let description = [{
    The gradient of a pool that nothing reaches is zero: gigabytes of zeros in an artifact, or a loop.

    ```mlir
    %0 = arith.constant dense<0.0> : tensor<4096x2x256xf32>
    ```
    becomes
    ```mlir
    %value = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<4096x2x256xf32>
    %0 = linalg.fill ins(%value : f32) outs(%empty : tensor<4096x2x256xf32>) -> tensor<4096x2x256xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def ChooseMixForms : Pass<"peer-choose-mix-forms", "::mlir::func::FuncOp"> {
  let summary = "which ops that mix take their pairs by expert, with products of matrices";
  let description = [{
    Experts of many rows are matrices: where many tokens chose one, its rows are read once for all of them. By the rule of
    `emit/MixForm.h`, or as `form` says.

    ```mlir
    %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 64 : i64} : ...
    ```
    becomes
    ```mlir
    %y = peer.mix %x, %i, %w, %p gelu {peer.group_from = 4 : i64, rows_per_expert = 64 : i64} : ...
    ```
  }];
  let options = [
    Option<"form", "form", "::peer::MixForm", "::peer::MixForm::Auto", "how ops that mix walk their pairs",
           [{::llvm::cl::values(clEnumValN(::peer::MixForm::Auto, "auto", "by the rule"),
                                clEnumValN(::peer::MixForm::Grouped, "grouped", "by expert"),
                                clEnumValN(::peer::MixForm::Tokens, "tokens", "by token"))}]>
  ];
}

def DropUpdatedResults : Pass<"peer-drop-updated-results", "::mlir::ModuleOp"> {
  let summary = "remove results that bufferization turned into their arguments";
  let description = [{
    An entry returns each tensor it updates (`peer.updates = <argument>`); in buffer form that is the argument itself,
    written in place. A small vector (running statistics) that was computed elsewhere is copied there; anything larger is
    an error. Upstream's
    drop-equivalent-buffer-results leaves public functions alone, and entries are public.

    ```mlir
    func.func @step(%p: memref<64x8xf32>, %loss: memref<f32>) -> (memref<f32>, memref<64x8xf32> {peer.updates = 0 : i64}) {
      return %loss, %p : memref<f32>, memref<64x8xf32>
    ```
    becomes
    ```mlir
    func.func @step(%p: memref<64x8xf32>, %loss: memref<f32>) -> memref<f32> {
      return %loss : memref<f32>
    ```
  }];
}

def OutlineKernels : Pass<"peer-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "each kernel of an entry into a function of its own";
  let description = [{
    Blocks of a model repeat: after this pass upstream's duplicate-function-elimination leaves one copy of each kernel for
    all blocks and entries, and everything below works on that one. Profilers see a name per kernel.

    ```mlir
    peer.mark 0 "activation" bytes [0, 64] flops [0, 8]
    peer.activation %x gelu outs(%y : memref<?x8xf32>) : memref<?x8xf32>
    ```
    becomes
    ```mlir
    peer.mark 0 "activation" bytes [0, 64] flops [0, 8]
    func.call @kernel_activation(%x, %y) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::linalg::LinalgDialect"];
}

def LowerToLoops : Peer_LoweringPass<"peer-lower-to-loops"> {
  let summary = "buffer-form ops to plain scalar loops";
  let description = [{
    The slow, obvious decomposition of every op: the fallback for shapes that no
    fast path takes, and the oracle for those that one does.

    ```mlir
    peer.gate %v relu outs(%w : memref<?x2x4xf32>) : memref<?x2x4xf32>
    ```
    becomes, inside loops over t, h and k,
    ```mlir
    %score = memref.load %v[%t, %h, %k] : memref<?x2x4xf32>
    %positive = arith.maximumf %score, %zero : f32
    %none = arith.cmpf oeq, %score, %lowest : f32
    %weight = arith.select %none, %zero, %positive : f32
    memref.store %weight, %w[%t, %h, %k] : memref<?x2x4xf32>
    ```
  }];
}

def LowerToVectors : Peer_LoweringPass<"peer-lower-to-vectors"> {
  let summary = "buffer-form ops to vector code and BLAS calls for a CPU";
  let description = [{
    Ops in shapes that no fast path takes become plain loops, as with
    --peer-lower-to-loops.

    ```mlir
    peer.gate %v relu outs(%w : memref<?x2x16xf32>) : memref<?x2x16xf32>
    ```
    becomes, inside loops over t and h,
    ```mlir
    %scores = vector.load %v[%t, %h, %c0] : memref<?x2x16xf32>, vector<16xf32>
    %positive = arith.maximumf %scores, %zeros : vector<16xf32>
    %none = arith.cmpf oeq, %scores, %lowest : vector<16xf32>
    %weights = arith.select %none, %zeros, %positive : vector<16xi1>, vector<16xf32>
    vector.store %weights, %w[%t, %h, %c0] : memref<?x2x16xf32>, vector<16xf32>
    ```
  }];
  let options = [
    Option<"width", "width", "int64_t", "16", "f32 lanes of a vector register: 16, 8 or 4">,
    Option<"tiles", "tiles", "bool", "false", "the CPU has registers of tiles and multiplies bf16 in them">,
    Option<"dots", "dots", "bool", "false", "the CPU sums four products of integers of 8 bits at once">
  ];
}

def LowerMarks : Peer_LoweringPass<"peer-lower-marks"> {
  let summary = "peer.mark to calls of the runtime's profiling hook";
  let description = [{
    ```mlir
    peer.mark 3 "mix" bytes [0, 64] flops [0, 8]
    ```
    becomes
    ```mlir
    %c3 = arith.constant 3 : i64
    func.call @peer_rt_mark(%c3) : (i64) -> ()
    ```
    What the mark says of the kernel is in the manifest by then.
  }];
}

def ExpandMath : Pass<"peer-expand-math"> {
  let summary = "exp, log, erf, ... as polynomials, so that they stay vector code";
  let description = [{
    Upstream's polynomial approximations (errors of a few ulp in f32). Without
    them every lane would be a call of libm.

    ```mlir
    %0 = math.exp %x : vector<16xf32>
    ```
    becomes a reduction by ln 2, a polynomial and a shift of the exponent:
    ```mlir
    %n = math.floor %scaled : vector<16xf32>
    %r = math.fma %n, %minus_ln2, %x : vector<16xf32>
    %p = math.fma %r, %c5, %c4 : vector<16xf32>
    ...
    %s = arith.shli %exponent, %c23 : vector<16xi32>
    %t = arith.bitcast %s : vector<16xi32> to vector<16xf32>
    %0 = arith.mulf %q, %t : vector<16xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

class Peer_DevicePass<string name> : Pass<name, "::mlir::ModuleOp"> {
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::gpu::GPUDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

def LaunchKernels : Peer_DevicePass<"peer-launch-kernels"> {
  let summary = "each outlined kernel to launches on a GPU";
  let description = [{
    A loop over tiles becomes a grid with a block per tile, its body the ops that the block executes together, with
    barriers between them; where tiles that score and select are few, several blocks share each. An op that was left whole is
    launched by its grid emitter, or as one block where it has none. A tile's local buffers become a part of one buffer per launch.

    ```mlir
    func.func private @kernel_activation(%x: memref<?x16xf32>, %y: memref<?x16xf32>, %tokens: index) {
      scf.forall (%t) = (0) to (%tokens) step (64) {
        ... // subviews %a of %x and %b of %y
        peer.activation %a gelu outs(%b : ...) : ...
    ```
    becomes
    ```mlir
    func.func private @kernel_activation(%x: memref<?x16xf32>, %y: memref<?x16xf32>, %tokens: index) {
      %tiles = affine.apply affine_map<()[s0] -> (s0 ceildiv 64)>()[%tokens]
      %any = arith.cmpi ne, %tiles, %c0 : index
      scf.if %any {
        gpu.launch blocks(%block, ...) in (... = %tiles, ...) threads(...) in (... = %c256, ...) module(@kernels) function(@activation) {
          ... // subviews of the block's tokens
          peer.activation %a gelu outs(%b : ...) : ...
          gpu.terminator
    ```
  }];
  let options = [
    Option<"plainLoops", "plain-loops", "bool", "false", "no grid emitters: every whole op is one block">
  ];
}

def LowerToBlocks : Peer_DevicePass<"peer-lower-to-blocks"> {
  let summary = "ops inside launches to the code of a block of threads";
  let description = [{
    An op that no emitter takes is executed by one thread of the block, in plain loops.

    ```mlir
    gpu.launch blocks(...) in (...) threads(%thread, ...) in (%threads = %c256, ...) {
      memref.copy %y, %x : memref<?x8xf32> to memref<?x8xf32>
    ```
    becomes
    ```mlir
    gpu.launch blocks(...) in (...) threads(%thread, ...) in (%threads = %c256, ...) {
      %me = gpu.thread_id x
      scf.for %i = %me to %elements step %c256 {
        ... // one element of %y to %x
    ```
  }];
  let options = [
    Option<"plainLoops", "plain-loops", "bool", "false", "plain loops for every op of our dialect: the oracle">
  ];
}

def LowerDeviceMath : Pass<"peer-lower-device-math"> {
  let summary = "what --peer-expand-math leaves of math to instructions of a GPU";
  let description = [{
    No call of CUDA's device library is left, so the PTX is complete and the same on every machine.

    ```mlir
    %0 = math.sqrt %x : f32
    ```
    becomes
    ```mlir
    %0 = llvm.call_intrinsic "llvm.sqrt.f32"(%x) : (f32) -> f32
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"];
}

def PlanMemory : Peer_DevicePass<"peer-plan-memory"> {
  let summary = "one allocation per call for all buffers of an entry";
  let description = [{
    Buffers whose lives do not overlap share a place in one arena. Which do is decided here; sizes that depend on the
    number of tokens are computed when the entry is called. Buffers that an entry returns are allocated one by one.

    ```mlir
    %a = memref.alloc(%tokens) : memref<?x8xf32>
    func.call @use(%x, %a) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
    memref.dealloc %a : memref<?x8xf32>
    ```
    becomes
    ```mlir
    %bytes = arith.muli %tokens, %c32 : index
    %arena, %token = gpu.alloc async [%start] (%bytes) : memref<?xi8>
    %a = memref.view %arena[%c0][%tokens] : memref<?xi8> to memref<?x8xf32>
    func.call @use(%x, %a) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
    gpu.dealloc async [%end] %arena : memref<?xi8>
    ```
  }];
}

def FinishKernels : Peer_DevicePass<"peer-finish-kernels"> {
  let summary = "shared memory as kernels access it";
  let description = [{
    Shared memory is aligned to the widest access, 16 bytes.

    ```mlir
    gpu.func @f(...) workgroup(%tile: memref<64xf32, #gpu.address_space<workgroup>>) kernel {
    ```
    becomes
    ```mlir
    gpu.func @f(...) workgroup(%tile: memref<64xf32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}) kernel {
    ```
  }];
}

def OutlineLaunches : Peer_DevicePass<"peer-outline-launches"> {
  let summary = "launches to kernels of their own";
  let description = [{
    Upstream's outlining, and what it drops: how many blocks shall fit on a multiprocessor, which an emitter noted on its launch.

    ```mlir
    gpu.launch blocks(...) in (...) threads(...) in (...) module(@kernels) function(@f) {
      ...
    } {peer.blocks = 2 : i32}
    ```
    becomes
    ```mlir
    gpu.launch_func @kernels::@f blocks in (...) threads in (...) args(...)
    gpu.module @kernels {
      gpu.func @f(...) kernel attributes {nvvm.minctasm = 2 : i32} {
    ```
  }];
  let dependentDialects = [
    "::mlir::cf::ControlFlowDialect", "::mlir::DLTIDialect", "::mlir::gpu::GPUDialect", "::mlir::NVVM::NVVMDialect"];
}

def MergeKernels : Peer_DevicePass<"peer-merge-kernels"> {
  let summary = "one copy of equal kernels";
  let description = [{
    Several ops sort, or add up the shares of blocks: their launches share the kernel of the first of them.

    ```mlir
    gpu.launch_func @kernels::@sort blocks in (...) threads in (...) args(%i : memref<64xi32>)
    gpu.launch_func @kernels::@sort_2 blocks in (...) threads in (...) args(%j : memref<64xi32>)
    ```
    becomes, where their bodies are equal, and @sort_2 is erased,
    ```mlir
    gpu.launch_func @kernels::@sort blocks in (...) threads in (...) args(%i : memref<64xi32>)
    gpu.launch_func @kernels::@sort blocks in (...) threads in (...) args(%j : memref<64xi32>)
    ```
  }];
}

def PassAddresses : Peer_DevicePass<"peer-pass-addresses"> {
  let summary = "buffers go to kernels as addresses";
  let description = [{
    A dense buffer becomes a pointer, and a size where the kernel reads it, in launches on a device and in calls of private functions:

    ```mlir
    gpu.launch_func @kernels::@f blocks in (...) threads in (...) args(%x : memref<?x8xf32>)
    gpu.func @f(%x: memref<?x8xf32>) kernel {
    ```
    becomes
    ```mlir
    %i = memref.extract_aligned_pointer_as_index %x : memref<?x8xf32> -> index
    %a = arith.index_cast %i : index to i64
    %p = llvm.inttoptr %a : i64 to !llvm.ptr
    gpu.launch_func @kernels::@f blocks in (...) threads in (...) args(%p : !llvm.ptr)
    gpu.func @f(%p: !llvm.ptr) kernel {
      %0 = llvm.mlir.poison : !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
      %1 = llvm.insertvalue %p, %0[0]
      %2 = llvm.insertvalue %p, %1[1]
      %x = builtin.unrealized_conversion_cast %2 to memref<?x8xf32>
    ```
  }];
}

#endif // PEER_LOWERING_PASSES_TD
