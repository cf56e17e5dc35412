//===- Policies.cpp - syntax and answers of select policies --------------===//

#include "dialect/Policies.h"
#include "dialect/Nearest.h"

#include "mlir/IR/Builders.h"

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

static std::string rejectCount(int64_t k, int64_t n) {
  if (k >= 1 && k <= n)
    return "";
  return "expected 1 <= k <= n = " + std::to_string(n) + ", got k = " + std::to_string(k);
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
// Other policies
//===----------------------------------------------------------------------===//

int64_t AllPolicyAttr::getNumSelected(int64_t n) const { return n; }
bool AllPolicyAttr::selectsAll() const { return true; }

StringRef ReservedPolicyAttr::getPolicyName() const { return getName().getValue(); }
int64_t ReservedPolicyAttr::getNumSelected(int64_t) const { return 1; }
bool ReservedPolicyAttr::isReserved() const { return true; }

/// Names that the verifier refuses.
static constexpr StringRef kReserved[] = {"top_p", "threshold"};

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
    if (!StringRef(Attr::kUsage).empty())
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

std::string peer::listPolicyNames() {
  return listNames(llvm::map_to_vector(getPolicies(), [](const Policy &policy) { return policy.name; }), "or");
}

/// The number that a reserved policy may carry is read over.
static Attribute parseReserved(AsmParser &parser, StringRef name) {
  int64_t count;
  if (succeeded(parser.parseOptionalLess()) && (parser.parseInteger(count) || parser.parseGreater()))
    return {};
  return ReservedPolicyAttr::get(parser.getContext(), StringAttr::get(parser.getContext(), name));
}

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
  if (named == policies.end() && !llvm::is_contained(kReserved, keyword))
    return parser.emitError(loc, "unknown policy '")
           << keyword << "'; known are " << known()
           << didYouMean(keyword, llvm::map_to_vector(policies, [](const Policy &policy) { return policy.name; }));
  policy = dyn_cast_or_null<SelectPolicyAttrInterface>(named == policies.end() ? parseReserved(parser, keyword)
                                                                               : named->parse(parser));
  return success(bool(policy));
}

void peer::printPolicy(OpAsmPrinter &printer, Operation *, SelectPolicyAttrInterface policy) {
  // Of `#peer.topk<16>` the dialect's name is left out.
  std::string text;
  llvm::raw_string_ostream(text) << Attribute(policy);
  StringRef bare(text);
  (void)(bare.consume_front("#") && bare.consume_front(PeerDialect::getDialectNamespace()) && bare.consume_front("."));
  printer << (policy.isReserved() ? policy.getPolicyName() : bare);
}
