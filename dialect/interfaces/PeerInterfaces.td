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
      [{ return std::nullopt; }]>,
    InterfaceMethod<[{
      Whether its result is its input, element by element in row-major order, under another type: it costs nothing, and is
      no kernel.
      }], "bool", "isView", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"Whether each element of its result depends on the same one of its inputs alone.",
      "bool", "isElementwise", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"What it does to tokens where it does not keep them apart: messages say it after the op's name.",
      "::llvm::StringRef", "describeMixing", (ins), [{}], [{ return "may mix tokens"; }]>,
    InterfaceMethod<[{
      Why its operands do not come from ops that it makes sense behind; empty where they do, or where nothing is known of
      them. Messages say it after the op's name.
      }], "std::string", "rejectOrigins", (ins), [{}], [{ return ""; }]>,
    InterfaceMethod<[{
      Whether its results are too large to be kept for a whole batch: below the graph level it stands in a loop.
      }], "bool", "hasLargeResults", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
      Whether what it computes on the way is larger than operands and results: it is tiled however small those are.
      }], "bool", "hasLargeIntermediates", (ins), [{}], [{ return false; }]>
  ];
}

def Peer_SelectionOpInterface : OpInterface<"SelectionOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op whose first result numbers experts that it selects by their keys.
  }];
  let methods = [
    InterfaceMethod<"How it selects.", "::peer::SelectPolicyAttrInterface", "getPolicy">,
    InterfaceMethod<"Keys of a head and half that it selects from.", "int64_t", "getNumKeys">
  ];
  let extraSharedClassDeclaration = [{
    /// Whether experts are the pairs of a grid, getNumKeys() by getNumKeys().
    bool isGrid() { return $_op.getPolicy().isGrid(); }
    /// Experts that are selected among.
    int64_t getNumExperts() { return $_op.getPolicy().getNumExperts($_op.getNumKeys()); }
    /// Results per head.
    int64_t getNumSelected() { return $_op.getPolicy().getNumSelected($_op.getNumKeys()); }
  }];
}

def Peer_MixLikeOpInterface : OpInterface<"MixLikeOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op that reads, for each token, the rows of a pool that belong to the experts selected for it.
  }];
  let methods = [
    InterfaceMethod<"`T x D`: what the experts are applied to.", "::mlir::Value", "getX">,
    InterfaceMethod<"`T x H x K`: the experts.", "::mlir::Value", "getIdx">,
    InterfaceMethod<"`T x H x K`: of their outputs.", "::mlir::Value", "getWeights">,
    InterfaceMethod<"`R x F x D`, or half of D where two elements are a byte.", "::mlir::Value", "getPool">,
    InterfaceMethod<"`R x F`, or `R x F x G`, where the pool's vectors have to be multiplied by them, else null.",
      "::mlir::Value", "getScales", (ins), [{}], [{ return {}; }]>,
    InterfaceMethod<"None where rows are one vector, which has none.",
      "std::optional<::peer::Activation>", "getActivation">,
    InterfaceMethod<"Rows of the pool that an expert owns, side by side.", "uint64_t", "getRowsPerExpert">
  ];
  let extraSharedClassDeclaration = [{
    int64_t getNumExperts() {
      return ::mlir::cast<::mlir::ShapedType>($_op.getPool().getType()).getDimSize(0) / int64_t($_op.getRowsPerExpert());
    }
  }];
}

def Peer_RowGradOpInterface : OpInterface<"RowGradOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op that takes the row-sparse gradient of a pool: its pairs as `sort_pairs` grouped them, their coefficients and
    the two tensors that those scale.
  }];
  let methods = [
    InterfaceMethod<"`T x H x K`: the experts of the pairs.", "::mlir::OpOperand &", "getIdxMutable">,
    InterfaceMethod<"As of sort_pairs.", "::mlir::Value", "getOrder">,
    InterfaceMethod<"As of sort_pairs.", "::mlir::Value", "getStarts">,
    InterfaceMethod<"As of sort_pairs.", "::mlir::Value", "getCount">,
    InterfaceMethod<"`T x H x K x r x F`.", "::mlir::Value", "getCoef">,
    InterfaceMethod<"`T x D`: scaled by the coefficients of all vectors but the last.", "::mlir::Value", "getX">,
    InterfaceMethod<"`T x D`: scaled by those of the last.", "::mlir::Value", "getDy">
  ];
}

def Peer_UpdateOpInterface : OpInterface<"UpdateOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    A step of an optimizer. Its first result is the parameter, the others are the states.
  }];
  let methods = [
    InterfaceMethod<"Of the gradient. NaN vetoes the step: nothing changes.", "::mlir::OpOperand &", "getScaleMutable">
  ];
}

def Peer_SequenceOpInterface : OpInterface<"SequenceOpInterface"> {
  let cppNamespace = "::peer";
  let description = [{
    An op whose rows are sequences of getContextLength() tokens, one after the other, and which knows how a sequence goes
    on token by token. Its operands and its result have one row per token.
  }];
  let methods = [
    InterfaceMethod<"Tokens of a sequence.", "uint64_t", "getContextLength">,
    InterfaceMethod<"Why it cannot go on token by token; empty where it can.", "std::string", "rejectDecoding",
      (ins), [{}], [{ return ""; }]>,
    InterfaceMethod<"What it keeps of earlier tokens: a name and a type for each cache.",
      "::llvm::SmallVector<std::pair<::llvm::StringRef, ::mlir::RankedTensorType>>", "getCaches", (ins), [{}],
      [{ return {}; }]>,
    InterfaceMethod<[{
      Builds the op for tokens that begin at `position`, on `operands` in place of its own. The results are its own and
      the caches as they are afterwards.
      }], "::mlir::Operation *", "buildDecoding",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands, "::mlir::Value":$position,
           "::mlir::ValueRange":$caches)>
  ];
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
