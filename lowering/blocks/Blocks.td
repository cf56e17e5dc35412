//===- Blocks.td - passes on what a model repeats ------------------------===//

#ifndef PEER_LOWERING_BLOCKS_TD
#define PEER_LOWERING_BLOCKS_TD

include "mlir/Pass/PassBase.td"

def OutlineBlocks : Pass<"peer-outline-blocks", "::mlir::ModuleOp"> {
  let summary = "blocks that an entry repeats into one function that it calls";
  let description = [{
    Blocks of a deep model are equal but for their parameters, and so are their gradients and their updates. Where ops of an
    entry repeat like this, one function does what they do, and what follows compiles it once. What the ops read
    becomes its arguments, what others read of them its results. Ops without marks stay where they are: the first argument is the
    number of the block's first kernel, from which its marks count.

    ```mlir
    peer.mark 4 "act" bytes [0, 64] flops [0, 8]
    %1 = peer.activation %0 gelu : tensor<?x8xf32>
    peer.mark 5 "linear" bytes [256, 64] flops [0, 128]
    %2 = peer.linear %1, %w2 : tensor<?x8xf32>, tensor<8x8xf32>
    ```
    becomes, at each place,
    ```mlir
    %2 = call @block(%c4_i64, %0, %w2) : (i64, tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let options = [Option<"fewest", "fewest", "unsigned", "4", "how often at least ops repeat">,
                 Option<"least", "least", "unsigned", "16", "how many ops are saved at least, marks included">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def FreeBuffers : Pass<"peer-free-buffers", "::mlir::ModuleOp"> {
  let summary = "each buffer is freed after its last use";
  let description = [{
    Entries are straight lines, so the last use is known. Functions that `--peer-outline-blocks` made free what is handed to them for
    the last time at each of their calls, where they use it last; what they return belongs to their callers. An entry
    returns buffers of its own, so results that are arguments, constants or one buffer twice are copied.

    ```mlir
    %a = memref.alloc() : memref<8xf32>
    call @kernel(%x, %a) : (memref<8xf32>, memref<8xf32>) -> ()
    call @kernel(%a, %y) : (memref<8xf32>, memref<8xf32>) -> ()
    ```
    becomes
    ```mlir
    %a = memref.alloc() : memref<8xf32>
    call @kernel(%x, %a) : (memref<8xf32>, memref<8xf32>) -> ()
    call @kernel(%a, %y) : (memref<8xf32>, memref<8xf32>) -> ()
    memref.dealloc %a : memref<8xf32>
    ```
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

#endif // PEER_LOWERING_BLOCKS_TD
