//===- PeerOpBase.td - what all graph ops share --------------------------===//

#ifndef PEER_OP_BASE_TD
#define PEER_OP_BASE_TD

include "dialect/PeerAttrs.td"
include "dialect/interfaces/PeerInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Peer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Peer_Dialect, mnemonic, traits>;

/// A tensor in value form, a buffer in buffer form.
def Peer_Shaped : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef],
    "ranked tensor or strided buffer">;

/// Result types follow from the operands and attributes (see InferTypes.h); a
/// tile may be more static than inferred.
def Peer_InferTypes : TraitList<[
  DeclareOpInterfaceMethods<InferTypeOpInterface>,
  NativeOpTrait<"InferTypeOpAdaptor", /*traits=*/[], /*extraOpDeclaration=*/[{
    static ::llvm::LogicalResult inferReturnTypes(
        ::mlir::MLIRContext *context, std::optional<::mlir::Location> location, Adaptor adaptor,
        ::llvm::SmallVectorImpl<::mlir::Type> &types);
    static bool isCompatibleReturnTypes(::mlir::TypeRange inferred, ::mlir::TypeRange given) {
      return ::peer::areCompatibleTypes(inferred, given);
    }
  }], /*extraOpDefinition=*/[{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(
        ::mlir::MLIRContext *context, std::optional<::mlir::Location> location, ::mlir::ValueRange operands,
        ::mlir::DictionaryAttr attributes, ::mlir::OpaqueProperties properties, ::mlir::RegionRange regions,
        ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::peer::inferWithAttributes<$cppClass>(context, location, operands, attributes, properties, regions, types);
    }
  }]>]>;

/// No effects on tensors; in buffer form inputs are read and outputs written
/// (see MemoryEffects.h).
def Peer_GraphOpEffectsTrait : NativeOpTrait<"GraphOpEffects"> {
  let cppNamespace = "::peer";
}
def Peer_GraphOpEffects : TraitList<[MemoryEffectsOpInterface, Peer_GraphOpEffectsTrait]>;

/// Graph ops: `inputs` are operands and attributes; `outs` comes last. Result
/// types are inferred, so a person writes operand types only. Each op lists
/// its constraints as C1, C2, ...; the check made while inferring (which the
/// verifier runs again) and the tests use the same numbers. All share
/// - C0: operands are all tensors or all buffers; `outs` is one destination of fitting type for each result
///   that is not tied to an input, or (tensors only) empty.
class Peer_GraphOp<string mnemonic, dag inputs, list<Trait> traits = []>
    : Peer_Op<mnemonic, !listconcat(traits, [
        DeclareOpInterfaceMethods<Peer_GraphOpInterface, ["getIndexNotation"]>,
        Peer_InferTypes, Peer_GraphOpEffects])> {
  let arguments = !con(inputs, (ins Variadic<Peer_Shaped>:$outs));
  let results = (outs Variadic<AnyRankedTensor>:$results);
}

/// A graph op whose gradient is known.
class Peer_DifferentiableOp<string mnemonic, dag inputs, list<Trait> traits = []>
    : Peer_GraphOp<mnemonic, inputs, !listconcat(traits,
        [DeclareOpInterfaceMethods<Peer_DifferentiableOpInterface>])>;

#endif // PEER_OP_BASE_TD
