//===- ReportExperts.cpp - a pass and a dialect outside of the tree -------===//

#include "dialect/PeerOps.h"

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"

using namespace mlir;

namespace {

/// No ops; gives a meaning to `report.max_active` on functions.
class ReportDialect : public Dialect {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ReportDialect)

  explicit ReportDialect(MLIRContext *context) : Dialect("report", context, TypeID::get<ReportDialect>()) {}
  static StringRef getDialectNamespace() { return "report"; }

  LogicalResult verifyOperationAttribute(Operation *op, NamedAttribute attribute) override {
    if (attribute.getName() != "report.max_active")
      return op->emitOpError("knows no attribute ") << attribute.getName();
    if (!isa<FunctionOpInterface>(op) || !isa<IntegerAttr>(attribute.getValue()))
      return op->emitOpError("expected report.max_active to be an integer on a function");
    return success();
  }
};

class ReportExperts : public PassWrapper<ReportExperts, OperationPass<>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ReportExperts)

  StringRef getArgument() const override { return "report-experts"; }
  StringRef getDescription() const override { return "report the experts of every peer.mix"; }

  void runOnOperation() override {
    getOperation()->walk([&](peer::MixOp mix) { report(mix); });
  }

private:
  void report(peer::MixOp mix) {
    auto pool = cast<ShapedType>(mix.getPool().getType());
    auto idx = cast<ShapedType>(mix.getIdx().getType());
    int64_t bytes = pool.getNumElements() * pool.getElementTypeBitWidth() / 8;
    int64_t perRow = pool.getDimSize(1) * pool.getDimSize(2);
    int64_t active = idx.getDimSize(1) * idx.getDimSize(2) * static_cast<int64_t>(mix.getRowsPerExpert()) * perRow;
    mix.emitRemark() << mix.getNumExperts() << " experts of " << mix.getRowsPerExpert() << " rows, pool of " << bytes
                     << " bytes, " << active << " active parameters per token";

    auto function = mix->getParentOfType<FunctionOpInterface>();
    auto limit = function ? function->getAttrOfType<IntegerAttr>("report.max_active") : IntegerAttr();
    if (limit && active > limit.getInt()) {
      mix.emitError() << active << " active parameters per token, and the function allows " << limit.getInt();
      signalPassFailure();
    }
  }
};

} // namespace

/// Called for --load-pass-plugin.
extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "ReportExperts", LLVM_VERSION_STRING, [] { PassRegistration<ReportExperts>(); }};
}

/// Called for --load-dialect-plugin.
extern "C" LLVM_ATTRIBUTE_WEAK DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Report", LLVM_VERSION_STRING,
          [](DialectRegistry *registry) { registry->insert<ReportDialect>(); }};
}
