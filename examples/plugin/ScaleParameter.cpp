//===- ScaleParameter.cpp - a conversion outside of the tree --------------===//

#include "dialect/PeerOps.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace {

/// Leaves the description as it is, and multiplies a parameter: the smallest conversion that there can be.
class ScaleParameter : public PassWrapper<ScaleParameter, OperationPass<ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ScaleParameter)

  ScaleParameter() = default;
  ScaleParameter(const ScaleParameter &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "scale-parameter"; }
  StringRef getDescription() const override { return "multiply a parameter by a number"; }

  void runOnOperation() override {
    bool found = false;
    getOperation()->walk([&](peer::ParamOp param) { found |= param.getName() == name; });
    if (!found) {
      emitError(getOperation().getLoc()) << "the model has no parameter '" << name.getValue() << "'";
      return signalPassFailure();
    }
    using llvm::json::Array, llvm::json::Object;
    Object layer{{"name", name.getValue()}, {"by", by.getValue()}};
    Object tensors{{name.getValue(), Array{"scale", Array{"tensor", name.getValue()}, by.getValue()}}};
    Object text{{"pass", "scale-parameter"}, {"layers", Array{std::move(layer)}}, {"tensors", std::move(tensors)}};
    std::error_code error;
    llvm::raw_fd_ostream(plan, error) << llvm::json::Value(std::move(text));
    if (error) {
      emitError(getOperation().getLoc()) << "cannot write " << plan.getValue() << ": " << error.message();
      signalPassFailure();
    }
  }

private:
  Option<std::string> plan{*this, "plan", llvm::cl::desc("where to write how weights follow from those of before")};
  Option<std::string> name{*this, "name", llvm::cl::desc("the parameter")};
  Option<double> by{*this, "by", llvm::cl::desc("the number"), llvm::cl::init(1)};
};

} // namespace

/// Called for --load-pass-plugin.
extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "ScaleParameter", LLVM_VERSION_STRING, [] { PassRegistration<ScaleParameter>(); }};
}
