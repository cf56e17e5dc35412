//===- Policies.cpp - syntax and answers of select policies --------------===//

#include "dialect/Policies.h"
#include "dialect/Nearest.h"
#include "dialect/Numbers.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace peer;

//===----------------------------------------------------------------------===//
// Policies that select k
//===----------------------------------------------------------------------===//

template <typename Policy>
static Attribute parseCounted(AsmParser &parser) {
  int64_t k = 0;
  if (parser.parseOptionalLess()) {
    parser.emitError(parser.getCurrentLocation(), "expected how many experts each head selects, as in '")
        << Policy::getMnemonic() << "<16>'";
    return {};
  }
  return parser.parseInteger(k) || parser.parseGreater() ? Attribute() : Policy::get(parser.getContext(), k);
}

static std::string rejectCount(int64_t k, int64_t n, const std::string &name = "k") {
  if (k >= 1 && k <= n)
    return "";
  return "expected 1 <= " + name + " <= n = " + std::to_string(n) + ", got " + name + " = " + std::to_string(k);
}

Attribute TopKPolicyAttr::parse(AsmParser &parser, Type) { return parseCounted<TopKPolicyAttr>(parser); }
void TopKPolicyAttr::print(AsmPrinter &printer) const { printer << "<" << getK() << ">"; }
int64_t TopKPolicyAttr::getNumSelected(int64_t) const { return getK(); }
bool TopKPolicyAttr::selectsLargest() const { return true; }
std::string TopKPolicyAttr::reject(int64_t n) const { return rejectCount(getK(), n); }

Attribute ProductTopKPolicyAttr::parse(AsmParser &parser, Type) { return parseCounted<ProductTopKPolicyAttr>(parser); }
void ProductTopKPolicyAttr::print(AsmPrinter &printer) const { printer << "<" << getK() << ">"; }
int64_t ProductTopKPolicyAttr::getHalves() const { return 2; }
int64_t ProductTopKPolicyAttr::getNumSelected(int64_t) const { return getK(); }
bool ProductTopKPolicyAttr::selectsLargest() const { return true; }
std::string ProductTopKPolicyAttr::reject(int64_t n) const { return rejectCount(getK(), n); }

//===----------------------------------------------------------------------===//
// Policies that keep the best of a row, up to a number of them
//===----------------------------------------------------------------------===//

/// `<[number,] [of = sigmoid,] max = m>`; without the number, which is then an operand, it is null.
static ParseResult parseBounded(AsmParser &parser, StringRef usage, FloatAttr &number, int64_t &max,
                                bool *sigmoid = nullptr) {
  auto explain = [&] { return parser.emitError(parser.getCurrentLocation(), "expected ") << usage; };
  auto parseMax = [&] { return failure(parser.parseEqual() || parser.parseInteger(max) || parser.parseGreater()); };
  auto parseOf = [&]() -> ParseResult {
    if (!sigmoid || failed(parser.parseOptionalKeyword("of")))
      return success();
    *sigmoid = true;
    return failure(parser.parseEqual() || parser.parseOptionalKeyword("sigmoid") || parser.parseOptionalComma());
  };
  if (parser.parseOptionalLess())
    return explain();
  if (succeeded(parser.parseOptionalKeyword("max")))
    return parseMax();
  if (parseOf())
    return explain();
  if (!sigmoid || !*sigmoid) {
    double value = 0;
    if (parseNumber(parser, value))
      return failure();
    number = f64(parser.getContext(), value);
    if (parser.parseOptionalComma() || parseOf())
      return explain();
  }
  return parser.parseOptionalKeyword("max") ? ParseResult(explain()) : ParseResult(parseMax());
}

/// `number, ` where there is one.
static void printNumber(AsmPrinter &printer, FloatAttr number) {
  if (!number)
    return;
  printer.printFloat(number.getValue());
  printer << ", ";
}

Attribute TopPPolicyAttr::parse(AsmParser &parser, Type) {
  FloatAttr p;
  int64_t max = 0;
  if (parseBounded(parser,
                   "how much probability is enough and the most experts of a head, as in 'top_p<0.9, max = 16>'", p,
                   max))
    return {};
  return get(parser.getContext(), p, max);
}

void TopPPolicyAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printNumber(printer, getP());
  printer << "max = " << getMax() << ">";
}

int64_t TopPPolicyAttr::getNumSelected(int64_t) const { return getMax(); }
bool TopPPolicyAttr::hasVaryingCounts() const { return true; }
bool TopPPolicyAttr::wantsThreshold() const { return !getP(); }
std::string TopPPolicyAttr::reject(int64_t n) const { return rejectCount(getMax(), n, "max"); }

static std::string describe(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

std::string TopPPolicyAttr::rejectNumbers() const {
  if (!getP())
    return "";
  double p = getP().getValueAsDouble();
  return p >= 0 && p <= 1 ? "" : "expected p between 0 and 1, got " + describe(p);
}

Attribute ThresholdPolicyAttr::parse(AsmParser &parser, Type) {
  FloatAttr threshold;
  int64_t max = 0;
  bool sigmoid = false;
  if (parseBounded(parser,
                   "a threshold and the most experts of a head, as in 'threshold<0.5, max = 8>' or "
                   "'threshold<0.5, of = sigmoid, max = 8>'",
                   threshold, max, &sigmoid))
    return {};
  return get(parser.getContext(), threshold, sigmoid, max);
}

void ThresholdPolicyAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printNumber(printer, getThreshold());
  printer << (getSigmoid() ? "of = sigmoid, " : "") << "max = " << getMax() << ">";
}

int64_t ThresholdPolicyAttr::getNumSelected(int64_t) const { return getMax(); }
bool ThresholdPolicyAttr::hasVaryingCounts() const { return true; }
bool ThresholdPolicyAttr::wantsThreshold() const { return !getThreshold(); }
std::string ThresholdPolicyAttr::reject(int64_t n) const { return rejectCount(getMax(), n, "max"); }

std::string ThresholdPolicyAttr::rejectNumbers() const {
  if (!getThreshold())
    return "";
  double threshold = getThreshold().getValueAsDouble();
  if (!getSigmoid() || (threshold >= 0 && threshold < 1))
    return "";
  return "expected a threshold of sigmoids of at least 0 and below 1, got " + describe(threshold);
}

//===----------------------------------------------------------------------===//
// Other policies
//===----------------------------------------------------------------------===//

int64_t AllPolicyAttr::getNumSelected(int64_t n) const { return n; }
bool AllPolicyAttr::selectsAll() const { return true; }

Attribute ExpertChoicePolicyAttr::parse(AsmParser &parser, Type) {
  if (parser.parseOptionalLess()) {
    parser.emitError(parser.getCurrentLocation(),
                     "expected how many experts a token has on average, as in 'expert_choice<2.0>'");
    return {};
  }
  double factor = 0;
  if (parseNumber(parser, factor) || parser.parseGreater())
    return {};
  return get(parser.getContext(), f64(parser.getContext(), factor));
}

void ExpertChoicePolicyAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printFloat(getFactor().getValue());
  printer << ">";
}

int64_t ExpertChoicePolicyAttr::getNumSelected(int64_t n) const { return n; }
bool ExpertChoicePolicyAttr::choosesTokens() const { return true; }

std::string ExpertChoicePolicyAttr::reject(int64_t n) const {
  double factor = getFactor().getValueAsDouble();
  return factor <= double(n)
             ? ""
             : "expected at most the n = " + std::to_string(n) + " experts there are, got " + describe(factor);
}

std::string ExpertChoicePolicyAttr::rejectNumbers() const {
  double factor = getFactor().getValueAsDouble();
  return factor > 0 ? "" : "expected more than 0 experts of a token on average, got " + describe(factor);
}

//===----------------------------------------------------------------------===//
// Syntax in ops
//===----------------------------------------------------------------------===//

namespace {
struct Policy {
  StringRef name, usage;
  Attribute (*parse)(AsmParser &);
};

template <typename Attr>
void addPolicy(SmallVectorImpl<Policy> &policies) {
  if constexpr (std::is_base_of_v<SelectPolicyAttrInterface::Trait<Attr>, Attr>) {
    auto parse = [](AsmParser &parser) -> Attribute {
      if constexpr (requires { Attr::parse(parser, Type()); })
        return Attr::parse(parser, Type());
      else
        return Attr::get(parser.getContext());
    };
    policies.push_back({Attr::getMnemonic(), Attr::kUsage, parse});
  }
}

template <typename... Attrs>
SmallVector<Policy> listPolicies() {
  SmallVector<Policy> policies;
  (addPolicy<Attrs>(policies), ...);
  return policies;
}

/// All attributes of the dialect that are policies, so that a new one is named in no list.
SmallVector<Policy> getPolicies() {
  return listPolicies<
#define GET_ATTRDEF_LIST
#include "PeerAttrs.cpp.inc"
      >();
}
} // namespace

ParseResult peer::parsePolicy(OpAsmParser &parser, SelectPolicyAttrInterface &policy) {
  SmallVector<Policy> policies = getPolicies();
  auto known = [&] {
    return listNames(llvm::map_to_vector(policies, [](const Policy &policy) { return policy.usage; }));
  };
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalKeyword(&keyword))
    return parser.emitError(loc, "expected a policy; known are ") << known();
  const Policy *named = llvm::find_if(policies, [&](const Policy &policy) { return policy.name == keyword; });
  if (named == policies.end())
    return parser.emitError(loc, "unknown policy '")
           << keyword << "'; known are " << known()
           << didYouMean(keyword, llvm::map_to_vector(policies, [](const Policy &policy) { return policy.name; }));
  policy = dyn_cast_or_null<SelectPolicyAttrInterface>(named->parse(parser));
  return success(bool(policy));
}

void peer::printPolicy(OpAsmPrinter &printer, Operation *, SelectPolicyAttrInterface policy) {
  // Of `#peer.topk<16>` the dialect's name is left out.
  std::string text;
  llvm::raw_string_ostream(text) << Attribute(policy);
  StringRef bare(text);
  (void)(bare.consume_front("#") && bare.consume_front(PeerDialect::getDialectNamespace()) && bare.consume_front("."));
  printer << bare;
}
