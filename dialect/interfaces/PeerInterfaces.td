//===- PeerInterfaces.td - interfaces of the peer dialect ----------------===//

#ifndef PEER_INTERFACES_TD
#define PEER_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Peer_GraphOpInterface : OpInterface<"GraphOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op that computes whole tensors (value form) or fills buffers (buffer
    form). Inputs come first among the operands, `outs` last. `outs` is empty in
    value form, or holds one destination per output that is not tied to an input.
    From the index notation below, tiling, shape reification, memory effects and
    bufferization are derived once for all ops.
  }];
  let methods = [
    InterfaceMethod<"Destinations; empty in value form before destinations are given.",
      "::mlir::MutableOperandRange", "getOutsMutable">,
    InterfaceMethod<[{
      How loops walk the operands, in an index notation like einsum's:
      `t h p ., h p . . -> t h p .` names a loop per letter, one entry for each
      dimension of each input and output. `.` is a dimension every tile takes
      whole; `t*128` says that one step of t covers 128 elements; an upper-case
      letter is a loop that is never tiled. A loop's trip count is read off the
      first input dimension it names. A dimension of static size 1 under a
      longer loop is broadcast.
      }], "std::string", "getIndexNotation">,
    InterfaceMethod<"The input that output `output` updates in place, if it does.",
      "std::optional<unsigned>", "getTiedInput", (ins "unsigned":$output), [{}],
      [{ return std::nullopt; }]>,
    InterfaceMethod<"Name of the kernel this op becomes, as benchmarks report it.",
      "::llvm::StringRef", "getKernelName", (ins), [{}],
      [{ return $_op->getName().stripDialect(); }]>,
    InterfaceMethod<[{
      Floating-point operations of one step through all loops (a product and a sum count as
      two): a number that multiplies the iteration count of the loops in the
      notation.
      }], "int64_t", "getFlopsPerIteration", (ins), [{}], [{ return 0; }]>,
    InterfaceMethod<[{
      Elements of input `input` that one step through all loops reads, where that
      is not the input's slice: a gather of rows from a table. Benchmarks count bytes with it.
      }], "std::optional<int64_t>", "getGatheredElements", (ins "unsigned":$input), [{}],
      [{ return std::nullopt; }]>
  ];
}

def Peer_SelectionOpInterface : OpInterface<"SelectionOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op whose first result numbers experts that it selects by their keys.
  }];
  let methods = [
    InterfaceMethod<"How it selects.", "::peer::SelectPolicy", "getPolicy">,
    InterfaceMethod<"Keys of a head and half that it selects from.", "int64_t", "getNumKeys">
  ];
  let extraSharedClassDeclaration = [{
    /// Whether experts are the pairs of a grid, getNumKeys() by getNumKeys().
    bool isGrid() { return $_op.getPolicy() == ::peer::SelectPolicy::ProductTopK; }
    /// Experts that are selected among. No index is an i32 beyond 2^31.
    int64_t getNumExperts() {
      int64_t keys = std::min($_op.getNumKeys(), int64_t(1) << 31);
      return isGrid() ? keys * keys : keys;
    }
  }];
}

def Peer_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op that knows its vector-Jacobian product. Upstream ops get it through
    external models (Differentiation.cpp).
  }];
  let methods = [
    InterfaceMethod<[{
      Build the gradient of a scalar with respect to the operands.
      `resultGrads[i]` is the gradient with respect to result i, or null where
      none flows. `operandGrads` has one null entry per operand; the method fills
      those whose `wanted` bit is set and that carry a gradient (integer operands never
      do). Fails with a diagnostic where no gradient exists.
      }], "::mlir::LogicalResult", "buildGradient",
      (ins "::mlir::OpBuilder &":$builder,
           "::llvm::ArrayRef<::mlir::Value>":$resultGrads,
           "const ::llvm::SmallBitVector &":$wanted,
           "::llvm::SmallVectorImpl<::mlir::Value> &":$operandGrads)>
  ];
}

#endif // PEER_INTERFACES_TD
