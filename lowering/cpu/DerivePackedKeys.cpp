//===- DerivePackedKeys.cpp - packed keys as arguments of entries --------===//

#include "Kernels.h"
#include "lowering/Passes.h"
#include "passes/Entries.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace peer {
#define GEN_PASS_DEF_DERIVEPACKEDKEYS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

namespace {
struct DerivePackedKeysPass : peer::impl::DerivePackedKeysBase<DerivePackedKeysPass> {
  using DerivePackedKeysBase::DerivePackedKeysBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> entries;
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && !function.isExternal())
        entries.push_back(function);
    for (func::FuncOp entry : entries)
      if (failed(derive(entry)))
        return signalPassFailure();
  }

private:
  LogicalResult derive(func::FuncOp entry);
  LogicalResult makeDerivation(func::FuncOp entry, BlockArgument keys);

  llvm::StringSet<> made; // parameters whose packed keys have an entry
  unsigned number = 0;    // of the last such entry
};
} // namespace

LogicalResult DerivePackedKeysPass::derive(func::FuncOp entry) {
  RejectRoute reject = cpu::rejectRoutes(nullptr, width);
  llvm::MapVector<BlockArgument, SmallVector<RouteOp>> routes;
  entry.walk([&](RouteOp route) {
    auto keys = dyn_cast<BlockArgument>(route.getKeys());
    if (keys && keys.getOwner() == &entry.front() && getParameter(entry, keys.getArgNumber()) && !route.getPacked() &&
        !reject(route))
      routes[keys].push_back(route);
  });
  Builder builder(&getContext());
  for (auto &[keys, readers] : routes) {
    if (failed(makeDerivation(entry, keys)))
      return failure();
    auto type = cast<RankedTensorType>(keys.getType());
    int64_t bytes = PackKeysOp::getRowBytes(type.getDimSize(2), type.getDimSize(3));
    auto packed = RankedTensorType::get({type.getDimSize(0), type.getDimSize(1), bytes}, builder.getI8Type());
    NamedAttribute attributes[] = {
        {attrs::kName, builder.getStringAttr(peer::getArgumentName(entry, keys.getArgNumber()))},
        {attrs::kRole, builder.getStringAttr(role::kDerived)}};
    unsigned position = entry.getNumArguments();
    if (failed(entry.insertArgument(position, packed, builder.getDictionaryAttr(attributes), keys.getLoc())))
      return failure();
    for (RouteOp route : readers)
      route.getPackedMutable().assign(entry.getArgument(position));
  }
  return success();
}

LogicalResult DerivePackedKeysPass::makeDerivation(func::FuncOp entry, BlockArgument keys) {
  StringRef name = peer::getArgumentName(entry, keys.getArgNumber());
  if (!made.insert(name).second)
    return success();
  std::string symbol;
  do
    symbol = ("derive:" + Twine(++number)).str();
  while (getOperation().lookupSymbol(symbol));
  EntryBuilder derivation(entry, symbol, kind::kDerive, "");
  Value argument = derivation.addArgumentLike(entry, keys.getArgNumber());
  derivation.addResult(PackKeysOp::create(derivation.builder, keys.getLoc(), argument, ValueRange()).getPacked(), name);
  FailureOr<func::FuncOp> function = derivation.finish();
  if (failed(function))
    return failure();
  // Behind the entries: they say in which order parameters are listed.
  (*function)->moveBefore(getOperation().getBody(), getOperation().getBody()->end());
  return success();
}
