//===- PeerOps.cpp - syntax of the peer ops ------------------------------===//

#include "dialect/PeerOps.h"
#include "dialect/Nearest.h"

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
  static constexpr StringLiteral kKnown = "topk<k>, product_topk<k> and all";
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalKeyword(&keyword))
    return parser.emitError(loc, "expected a policy; known are ") << kKnown;
  std::optional<SelectPolicy> kind = symbolizeSelectPolicy(keyword);
  if (!kind)
    return parser.emitError(loc, "unknown policy '")
           << keyword << "'; known are " << kKnown << didYouMean(keyword, {"topk", "product_topk", "all"});
  policy = SelectPolicyAttr::get(parser.getContext(), *kind);
  int64_t count = 0;
  if (*kind == SelectPolicy::TopK || *kind == SelectPolicy::ProductTopK) {
    if (parser.parseOptionalLess())
      return parser.emitError(parser.getCurrentLocation(), "expected how many experts each head selects, as in '")
             << keyword << "<16>'";
    if (parser.parseInteger(count) || parser.parseGreater())
      return failure();
  } else if (*kind != SelectPolicy::All && succeeded(parser.parseOptionalLess()) &&
             (parser.parseInteger(count) || parser.parseGreater())) {
    return failure(); // reserved policies, which the verifier refuses
  }
  k = parser.getBuilder().getI64IntegerAttr(count);
  return success();
}

static void printPolicy(OpAsmPrinter &printer, Operation *, SelectPolicyAttr policy, IntegerAttr k) {
  printer << stringifySelectPolicy(policy.getValue());
  if (policy.getValue() != SelectPolicy::All)
    printer << "<" << k.getInt() << ">";
}

/// What a keyword says, and the keywords that say it; reserved ones, which the verifier refuses, are left out.
struct Keywords {
  StringRef noun;
  SmallVector<StringRef> known;
  StringRef hint = "";
};
static Keywords getKeywords(SelectPolicyAttr) { return {"a policy", {"topk", "product_topk", "all"}}; }
static Keywords getKeywords(GateKindAttr) { return {"a gate", {"softmax", "sigmoid", "relu", "one"}}; }
static Keywords getKeywords(ActivationAttr) {
  return {"an activation",
          {"gelu", "silu", "relu"},
          "; where the rows of a pool are one vector (F = 1) it means nothing, and any of them may stand"};
}

/// A kind by its bare name. The default syntax of enum attributes would print two spaces, and answer an unknown name with
/// two errors.
template <typename EnumAttr>
static ParseResult parseKeyword(OpAsmParser &parser, EnumAttr &attribute) {
  using Enum = decltype(attribute.getValue());
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  Keywords keywords = getKeywords(EnumAttr());
  if (parser.parseOptionalKeyword(&keyword))
    return parser.emitError(loc, "expected ")
           << keywords.noun << "; known are " << listNames(keywords.known) << keywords.hint;
  std::optional<Enum> value = symbolizeEnum<Enum>(keyword);
  if (!value)
    return parser.emitError(loc, "unknown keyword '")
           << keyword << "'; known are " << listNames(keywords.known) << didYouMean(keyword, keywords.known);
  attribute = EnumAttr::get(parser.getContext(), *value);
  loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword("rows_per_expert")))
    return parser.emitError(loc, "expected '{rows_per_expert = ROWS}', in braces");
  return success();
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
