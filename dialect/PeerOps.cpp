//===- PeerOps.cpp - syntax of the peer ops ------------------------------===//

#include "dialect/PeerOps.h"
#include "dialect/Nearest.h"
#include "dialect/Numbers.h"
#include "dialect/Policies.h"

#include "mlir/IR/Builders.h"

#include <cstring>

using namespace mlir;
using namespace peer;

#include "PeerInterfaces.cpp.inc"

namespace peer {
void printInitAttrBody(AsmPrinter &printer, InitAttr init);
} // namespace peer

//===----------------------------------------------------------------------===//
// Custom pieces of the syntax
//===----------------------------------------------------------------------===//

/// What a keyword says, and the keywords that say it; reserved ones, which the verifier refuses, are left out.
struct Keywords {
  StringRef noun;
  SmallVector<StringRef> known;
};
static Keywords getKeywords(GateKindAttr) { return {"a gate", {"softmax", "sigmoid", "relu", "one"}}; }
static Keywords getKeywords(ActivationAttr) { return {"an activation", {"gelu", "silu", "relu", "sigmoid", "tanh"}}; }
static Keywords getKeywords(ReduceKindAttr) { return {"what to reduce by", {"sum", "mean", "max"}}; }
static Keywords getKeywords(PriorityAttr) { return {"a priority", {"token", "rank", "probability"}}; }

/// A kind by its bare name. The default syntax of enum attributes would print two spaces, and answer an unknown name with
/// two errors.
template <typename EnumAttr>
static ParseResult parseKeyword(OpAsmParser &parser, EnumAttr &attribute) {
  using Enum = decltype(attribute.getValue());
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  Keywords keywords = getKeywords(EnumAttr());
  if (parser.parseOptionalKeyword(&keyword))
    return parser.emitError(loc, "expected ") << keywords.noun << "; known are " << listNames(keywords.known);
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

/// An activation, or none: the verifier knows which pools do without. What begins with a letter here is one, but for `outs`.
static ParseResult parseOptionalKeyword(OpAsmParser &parser, ActivationAttr &attribute) {
  const char *next = parser.getCurrentLocation().getPointer();
  if (!llvm::isAlpha(*next) || std::strncmp(next, "outs", 4) == 0)
    return success();
  return parseKeyword(parser, attribute);
}

static void printOptionalKeyword(OpAsmPrinter &printer, Operation *op, ActivationAttr attribute) {
  if (attribute)
    printKeyword(printer, op, attribute);
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
