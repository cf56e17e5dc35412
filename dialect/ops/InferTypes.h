//===- InferTypes.h - attributes for result type inference ---------------===//

#ifndef PEER_DIALECT_OPS_INFERTYPES_H
#define PEER_DIALECT_OPS_INFERTYPES_H

#include "mlir/IR/OpDefinition.h"

namespace peer {

/// Operands an op needs at least: those that are not in its variadic group.
template <typename Op, unsigned N = 16>
constexpr unsigned minOperands() {
  if constexpr (N <= 1)
    return N;
  else if constexpr (Op::template hasTrait<mlir::OpTrait::AtLeastNOperands<N>::template Impl>())
    return N;
  else
    return minOperands<Op, N - 1>();
}

/// What the verifier would find later, when it is too late for a type inference that reads the operands.
llvm::LogicalResult checkOperands(std::optional<mlir::Location> location, llvm::StringRef op, mlir::ValueRange operands,
                                  unsigned atLeast);

/// Infers result types by an op's `inferReturnTypes(context, location, adaptor, types)`.
///
/// While an op is parsed, attributes of its `attr-dict` are in `attributes` and not yet in `properties`, and those left to
/// their defaults are in neither. Here they are brought together and checked, so that an op sees all of them.
template <typename Op>
llvm::LogicalResult inferWithAttributes(mlir::MLIRContext *context, std::optional<mlir::Location> location,
                                        mlir::ValueRange operands, mlir::DictionaryAttr attributes,
                                        mlir::OpaqueProperties properties, mlir::RegionRange regions,
                                        llvm::SmallVectorImpl<mlir::Type> &types) {
  using Properties = typename Op::template InferredProperties<Op>;
  auto infer = [&](typename Op::Adaptor adaptor) -> llvm::LogicalResult {
    if (failed(checkOperands(location, Op::getOperationName(), operands, minOperands<Op>())) ||
        failed(adaptor.verify(location.value_or(mlir::UnknownLoc::get(context)))))
      return mlir::failure();
    return Op::inferReturnTypes(context, location, adaptor, types);
  };
  if constexpr (std::is_same_v<Properties, mlir::EmptyProperties>) {
    return infer(typename Op::Adaptor(operands, attributes, properties, regions));
  } else {
    Properties all = properties ? *properties.as<Properties *>() : Properties();
    if (attributes)
      for (mlir::NamedAttribute attribute : attributes)
        Op::setInherentAttr(all, attribute.getName(), attribute.getValue());
    Op::populateDefaultProperties(mlir::OperationName(Op::getOperationName(), context), all);
    return infer(typename Op::Adaptor(operands, attributes, all, regions));
  }
}

} // namespace peer

#endif // PEER_DIALECT_OPS_INFERTYPES_H
