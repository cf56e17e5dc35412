//===- PeerOps.cpp - syntax of the peer ops ------------------------------===//

#include "PeerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace peer;

#include "PeerInterfaces.cpp.inc"

namespace peer {
void printInitAttrBody(AsmPrinter &printer, InitAttr init);
} // namespace peer

//===----------------------------------------------------------------------===//
// Custom pieces of the syntax
//===----------------------------------------------------------------------===//

/// `topk<16>`, `product_topk<16>`, `all`, which takes no count: it would be lost in print.
static ParseResult parsePolicy(OpAsmParser &parser, SelectPolicyAttr &policy, IntegerAttr &k) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<SelectPolicy> kind = symbolizeSelectPolicy(keyword);
  if (!kind)
    return parser.emitError(loc, "unknown policy '") << keyword << "'; known are topk<k>, product_topk<k> and all";
  policy = SelectPolicyAttr::get(parser.getContext(), *kind);
  int64_t count = 0;
  if (*kind != SelectPolicy::All && succeeded(parser.parseOptionalLess()) &&
      (parser.parseInteger(count) || parser.parseGreater()))
    return failure();
  k = parser.getBuilder().getI64IntegerAttr(count);
  return success();
}

static void printPolicy(OpAsmPrinter &printer, Operation *, SelectPolicyAttr policy, IntegerAttr k) {
  printer << stringifySelectPolicy(policy.getValue());
  if (policy.getValue() != SelectPolicy::All)
    printer << "<" << k.getInt() << ">";
}

/// A kind or policy by its bare name. The default syntax of enum attributes would print two spaces, and answer an
/// unknown name with two errors.
template <typename EnumAttr>
static ParseResult parseKeyword(OpAsmParser &parser, EnumAttr &attribute) {
  using Enum = decltype(attribute.getValue());
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  if (std::optional<Enum> value = symbolizeEnum<Enum>(keyword)) {
    attribute = EnumAttr::get(parser.getContext(), *value);
    return success();
  }
  auto diag = parser.emitError(loc, "unknown keyword '") << keyword << "'; known are ";
  for (uint32_t i = 0; !stringifyEnum(Enum(i)).empty(); ++i)
    diag << (i ? ", " : "") << stringifyEnum(Enum(i));
  return diag;
}

template <typename EnumAttr>
static void printKeyword(OpAsmPrinter &printer, Operation *, EnumAttr attribute) {
  printer << stringifyEnum(attribute.getValue());
}

static ParseResult parseInit(OpAsmParser &parser, InitAttr &init) {
  init = dyn_cast_or_null<InitAttr>(InitAttr::parse(parser, Type()));
  return success(bool(init));
}

static void printInit(OpAsmPrinter &printer, Operation *, InitAttr init) { printInitAttrBody(printer, init); }

/// Operand types that are the result types too.
static ParseResult parseSameTypes(OpAsmParser &parser, SmallVectorImpl<Type> &inputs, SmallVectorImpl<Type> &results) {
  if (parser.parseTypeList(inputs))
    return failure();
  results.assign(inputs.begin(), inputs.end());
  return success();
}

static void printSameTypes(OpAsmPrinter &printer, Operation *, TypeRange inputs, TypeRange) { printer << inputs; }

#define GET_OP_CLASSES
#include "PeerOps.cpp.inc"
