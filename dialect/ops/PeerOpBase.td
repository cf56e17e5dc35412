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

/// A number without a type would be an f64: the message says what to write.
def Peer_F32Attr : FloatAttrBase<F32, "a number with its type, such as 1.0e-6 : f32">;

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

/// What an op computes: `(outs "T x H x K i32":$idx, ...)` gives each output a name, which is that of its accessor and of the
/// result in dumps, and a type, which documents list. The accessor getIdx() gives the result in value form, and what it is
/// written to in buffer form.
class Peer_OutputAccessor<int number, string name> {
  string text = "::mlir::Value get" # !toupper(!substr(name, 0, 1)) # !substr(name, 1)
      # "() { return ::peer::getOutput(*this, " # !cast<string>(number) # "); }\n";
}
class Peer_NamedOutputs<dag outputs> : NativeOpTrait<"NamedOutputs", /*traits=*/[],
    !foldl("", !range(!size(outputs)), all, i,
        all # Peer_OutputAccessor<i, !getdagname(outputs, i)>.text) # [{
    void getAsmResultNames(::mlir::OpAsmSetValueNameFn setName) {
      ::peer::nameOutputs(*this, {}] # !interleave(!foreach(i, !range(!size(outputs)), "\"" # !getdagname(outputs, i) # "\""), ", ") # [{}, setName);
    }
    }]> {
  let cppNamespace = "::peer";
}
class Peer_Results<dag outputs> : Variadic<AnyRankedTensor> {
  let summary = !interleave(!foreach(i, !range(!size(outputs)),
      "`" # !getdagname(outputs, i) # "`: " # !getdagarg<string>(outputs, i)), "; ");
}

/// Graph ops: `inputs` are operands and attributes; `outs` comes last. Result
/// types are inferred, so a person writes operand types only. Each op lists
/// its constraints as C1, C2, ...; the check made while inferring (which the
/// verifier runs again) and the tests use the same numbers. All share
/// - C0: operands are all tensors or all buffers; `outs` is one destination of fitting type for each result
///   that is not tied to an input, or (tensors only) empty.
class Peer_GraphOp<string mnemonic, dag inputs, dag outputs, list<Trait> traits = []>
    : Peer_Op<mnemonic, !listconcat(traits, [
        DeclareOpInterfaceMethods<Peer_GraphOpInterface, ["getIndexNotation"]>, OpAsmOpInterface,
        Peer_NamedOutputs<outputs>, Peer_InferTypes, Peer_GraphOpEffects])> {
  let arguments = !con(inputs, (ins Variadic<Peer_Shaped>:$outs));
  let results = (outs Peer_Results<outputs>:$results);
}

/// A graph op whose gradient is known.
class Peer_DifferentiableOp<string mnemonic, dag inputs, dag outputs, list<Trait> traits = []>
    : Peer_GraphOp<mnemonic, inputs, outputs, !listconcat(traits,
        [DeclareOpInterfaceMethods<Peer_DifferentiableOpInterface>])>;

/// Kinds of ops (see Traits.h).
class Peer_KindTrait<string name> : NativeOpTrait<name> {
  let cppNamespace = "::peer";
}
def Peer_ModelOp : Peer_KindTrait<"ModelOp">;
def Peer_WrittenByPeople : Peer_KindTrait<"WrittenByPeople">;

#endif // PEER_OP_BASE_TD
