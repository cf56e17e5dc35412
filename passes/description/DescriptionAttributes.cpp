//===- DescriptionAttributes.cpp - attributes that something reads -------===//
//
// A slip of the pen is an attribute that nothing reads: it is refused where it
// stands, with the nearest name that something does read. Attributes of
// dialects that nobody here knows are notes of other tools and stay.
//
//===----------------------------------------------------------------------===//

#include "DescriptionAttributes.h"

#include "dialect/Nearest.h"
#include "passes/Entries.h"

using namespace mlir;
using namespace peer;

namespace {

/// An attribute of our dialect that a description may give.
struct Known {
  StringRef name;
  StringRef value; ///< in words
  bool (*accepts)(Attribute);
};

bool isName(Attribute value) { return isa<StringAttr>(value); }

/// Kinds that nobody could derive; those of other entries follow from requests.
bool isKind(Attribute value) {
  auto text = dyn_cast<StringAttr>(value);
  return text && (text.getValue() == kind::kLoss || text.getValue() == kind::kForward);
}

bool isRange(Attribute value) {
  auto list = dyn_cast<ArrayAttr>(value);
  auto isNumber = [](Attribute bound) {
    auto number = dyn_cast<IntegerAttr>(bound);
    return number && number.getType().isInteger(64);
  };
  return list && list.size() == 2 && llvm::all_of(list, isNumber) &&
         cast<IntegerAttr>(list[0]).getInt() < cast<IntegerAttr>(list[1]).getInt();
}

constexpr Known kName = {attrs::kName, "a name in quotes", isName};
constexpr Known kKind = {attrs::kKind, "\"loss\" or \"forward\"; other kinds follow from requests", isKind};
constexpr Known kRange = {attrs::kRange, "[FIRST, END], the half-open interval that the values lie in", isRange};

/// Where attributes stand, in words, and what is known there.
struct Place {
  Location loc;
  std::string what;
  ArrayRef<Known> ours;
  /// Names without a dialect that mean something, for the nearest of them.
  SmallVector<StringRef> bare = {};
  /// Other names without a dialect are refused.
  bool strict = true;
};

} // namespace

static LogicalResult check(NamedAttribute attribute, const Place &place) {
  StringRef name = attribute.getName(), prefix = PeerDialect::getDialectNamespace();
  const Known *known = llvm::find_if(place.ours, [&](const Known &k) { return k.name == name; });
  if (known != place.ours.end()) {
    if (known->accepts(attribute.getValue()))
      return success();
    return emitError(place.loc) << "expected '" << name << "' of " << place.what << " to be " << known->value
                                << ", got " << attribute.getValue();
  }
  auto [dialect, rest] = name.split('.');
  bool isBare = rest.empty() || dialect.empty();
  bool registered = llvm::is_contained(place.loc.getContext()->getAvailableDialects(), dialect);
  // Such attributes say how code is made or called, and compiled code relies on its own.
  if (!isBare && registered && dialect != prefix)
    return emitError(place.loc) << "the attribute '" << name << "' of " << place.what << " belongs to dialect '"
                                << dialect << "'; a description has none of that";
  if (!isBare && findNearest(dialect, prefix).empty())
    return success();
  // Who writes `kind` means `peer.kind`.
  auto withoutPrefix = [](const Known &k) { return k.name.split('.').second; };
  std::string nearest = findNearest(isBare ? name : rest, llvm::map_to_vector(place.ours, withoutPrefix)).str();
  if (!nearest.empty())
    nearest = (prefix + "." + nearest).str();
  else if (isBare)
    nearest = findNearest(name, place.bare).str();
  // Passes of upstream keep notes under names that begin so, and trust them.
  if (isBare && !place.strict && nearest.empty() && !name.starts_with("__"))
    return success();
  InFlightDiagnostic diag = emitError(place.loc) << place.what << " has no attribute '" << name << "'";
  if (!nearest.empty())
    return diag << "; did you mean '" << nearest << "'?";
  SmallVector<StringRef> all = llvm::map_to_vector(place.ours, [](const Known &k) { return k.name; });
  llvm::append_range(all, place.bare);
  return all.empty() ? diag : diag << "; known there is " << listNames(all);
}

static LogicalResult check(DictionaryAttr attributes, const Place &place) {
  for (NamedAttribute attribute : attributes ? attributes.getValue() : ArrayRef<NamedAttribute>())
    if (failed(check(attribute, place)))
      return failure();
  return success();
}

LogicalResult peer::checkAttributes(Operation *op) {
  Place place{op->getLoc(), isa<ModuleOp>(op) ? "the module" : ("op '" + op->getName().getStringRef() + "'").str(), {}};
  // How long variadic operands are is no attribute to a person.
  auto isSegments = [](StringRef name) { return name.ends_with("Segments") || name.ends_with("SegmentSizes"); };
  for (StringAttr inherent : op->getName().getAttributeNames())
    if (!isSegments(inherent))
      place.bare.push_back(inherent);
  place.strict = isa<ModuleOp>(op) || isa<PeerDialect>(op->getDialect());
  return check(op->getDiscardableAttrDictionary(), place);
}

LogicalResult peer::checkFunctionAttributes(FunctionOpInterface function) {
  std::string name = ("@" + function.getName()).str();
  Place place{function.getLoc(), name, kKind};
  if (failed(check(function->getDiscardableAttrDictionary(), place)))
    return failure();
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    Location loc = function.isExternal() ? function.getLoc() : function.getArgument(i).getLoc();
    bool integer = getElementTypeOrSelf(function.getArgumentTypes()[i]).isInteger();
    const Known ofInteger[] = {kName, kRange};
    Place argument{loc, "argument " + std::to_string(i) + " of " + name,
                   ArrayRef(ofInteger).take_front(integer ? 2 : 1)};
    if (failed(check(function.getArgAttrDict(i), argument)))
      return failure();
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (failed(check(function.getResultAttrDict(i),
                     {function.getLoc(), "result " + std::to_string(i) + " of " + name, kName})))
      return failure();
  return success();
}
