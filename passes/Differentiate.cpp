//===- Differentiate.cpp - gradient entries ------------------------------===//

#include "ReverseMode.h"

#include "Entries.h"
#include "Passes.h"
#include "dialect/interfaces/Differentiation.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// Which of the function's inputs the request wants a gradient for.
FailureOr<SmallVector<unsigned>> findWantedInputs(GradientOp request, func::FuncOp function) {
  SmallVector<unsigned> wanted;
  if (std::optional<ArrayRef<int64_t>> listed = request.getWrt()) {
    for (int64_t index : *listed) {
      if (index < 0 || index >= function.getNumArguments() ||
          !isDifferentiableType(function.getArgument(index).getType()))
        return request.emitOpError() << "wants the gradient of argument " << index << " of @" << function.getName()
                                     << ", which is no floating-point tensor";
      wanted.push_back(index);
    }
    return wanted;
  }
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (!getParameter(function, i) && isDifferentiableType(function.getArgument(i).getType()))
      wanted.push_back(i);
  return wanted;
}

std::string nameOr(StringRef name, StringRef stem, unsigned index) {
  return name.empty() ? (stem + Twine(index)).str() : name.str();
}

/// Builds the entry that `request` asks for.
LogicalResult buildGradientEntry(GradientOp request, func::FuncOp function) {
  FailureOr<SmallVector<unsigned>> wanted = findWantedInputs(request, function);
  if (failed(wanted))
    return failure();

  EntryBuilder entry(request, request.getSymName(), kind::kGradient, function.getName());
  IRMapping mapping;
  Block &body = function.getBody().front();
  Operation *terminator = body.getTerminator();

  // Inputs and the gradients of the results come first, parameters last.
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (!getParameter(function, i))
      mapping.map(body.getArgument(i), entry.addArgumentLike(function, i));
  SmallVector<Value> outputs, seeds;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    if (!isDifferentiableType(value.getType()))
      continue;
    std::string name = "d" + nameOr(getResultName(function, i), "result", i);
    outputs.push_back(value);
    seeds.push_back(entry.addArgument(getGradientType(value.getType()), value.getLoc(), name, role::kInput));
  }
  SmallVector<unsigned> parameters;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    ParameterAttr parameter = getParameter(function, i);
    if (!parameter)
      continue;
    mapping.map(body.getArgument(i), entry.addArgumentLike(function, i));
    if (parameter.getTrainable() && request.getParameters())
      parameters.push_back(i);
  }

  for (Operation &op : body.without_terminator())
    entry.builder.clone(op, mapping);
  for (Value &output : outputs)
    output = mapping.lookup(output);

  SmallVector<Value> inputs, gradients;
  for (unsigned i : llvm::concat<unsigned>(*wanted, parameters))
    inputs.push_back(mapping.lookup(Value(body.getArgument(i))));
  if (failed(differentiate(entry.builder, outputs, seeds, inputs, gradients)))
    return failure();
  for (auto [input, gradient] : llvm::zip_equal(inputs, gradients))
    if (!gradient)
      gradient = createZeroGradient(entry.builder, input);

  for (auto [position, index] : llvm::enumerate(*wanted))
    entry.addResult(gradients[position], "d" + nameOr(getArgumentName(function, index), "arg", index));
  for (auto [position, index] : llvm::enumerate(parameters))
    entry.addResult(gradients[wanted->size() + position], ("grad." + getArgumentName(function, index)).str());
  return entry.finish();
}

struct DifferentiatePass : peer::impl::DifferentiateBase<DifferentiatePass> {
  void getDependentDialects(DialectRegistry &registry) const override {
    DifferentiateBase::getDependentDialects(registry);
    registerDifferentiationModels(registry);
  }

  void runOnOperation() override {
    for (GradientOp request : llvm::make_early_inc_range(getOperation().getOps<GradientOp>())) {
      FailureOr<func::FuncOp> function = findRequestedFunction(request, request.getFunctionAttr());
      if (failed(function) || failed(buildGradientEntry(request, *function)))
        return signalPassFailure();
      request.erase();
      eraseIfUnused(*function);
    }
  }
};

} // namespace
