//===- Compiler.cpp - a model description to an artifact -----------------===//

#include "Compiler.h"

#include "passes/gradient/StructuredGradient.h"

#include "DescriptionText.h"
#include "Explain.h"
#include "Manifest.h"
#include "Passes.h"
#include "Pipelines.h"
#include "blocks/Blocks.h"
#include "dialect/interfaces/Bufferization.h"
#include "dialect/interfaces/Differentiation.h"
#include "dialect/interfaces/Tiling.h"
#include "lowering/host/InputFile.h"
#include "lowering/host/Messages.h"
#include "lowering/host/ObjectCode.h"
#include "lowering/host/OutputFile.h"
#include "lowering/tuning/Tuning.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "mlir/Target/LLVM/NVVM/Target.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace peer {

void registerEverything(DialectRegistry &registry) {
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registry.insert<PeerDialect>();
  registerTilingExternalModels(registry);
  registerBufferizableOpInterfaceExternalModels(registry);
  registerDifferentiationModels(registry);
  registerStructuredGradients(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerOpenMPDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  NVVM::registerNVVMTargetInterfaceExternalModels(registry);
  gpu::registerOffloadingLLVMTranslationInterfaceExternalModels(registry);
}

static LogicalResult write(StringRef path, StringRef bytes) {
  llvm::Error error = writeOutput(path, bytes);
  return error ? failWith(std::move(error)) : success();
}

namespace {
/// What an artifact is made of.
struct Parts {
  SmallVector<SmallString<0>> objects;
  /// Of all versions of the code there are so far.
  std::optional<Manifest> manifest;
};

/// One compilation: a module on its way down.
class Compilation {
public:
  Compilation(const CompileOptions &options, MLIRContext &context, TimingScope &timing)
      : options(options), context(context), timing(timing) {}
  LogicalResult run(std::unique_ptr<llvm::MemoryBuffer> input, llvm::SourceMgr &sources);

private:
  LogicalResult runPipeline(StringRef name, llvm::function_ref<void(OpPassManager &)> build);
  LogicalResult printModule();
  LogicalResult emitText(llvm::Expected<std::string> text);
  LogicalResult lower(const Target &target, unsigned version, StringRef model, const GraphFactsMap &facts,
                      Explanation &explanation, Parts &parts);
  LogicalResult emitCode(Manifest manifest, const Target &target, Parts &parts);
  LogicalResult writeArtifact(const Parts &parts);

  const CompileOptions &options;
  MLIRContext &context;
  TimingScope &timing;
  std::string description; // what the artifact keeps
  OwningOpRef<ModuleOp> module;
};
} // namespace

LogicalResult Compilation::runPipeline(StringRef name, llvm::function_ref<void(OpPassManager &)> build) {
  PassManager pm(&context, ModuleOp::getOperationName());
  if (failed(applyPassManagerCLOptions(pm)))
    return failure();
  TimingScope stage = timing.nest(name);
  pm.enableTiming(stage);
  build(pm);
  // Verified once per stage: after each pass it would take a fifth of the time of a compilation.
  pm.enableVerifier(false);
  return success(succeeded(pm.run(*module)) && succeeded(verify(*module)));
}

LogicalResult Compilation::printModule() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  stream << "\n";
  return write(options.output, text);
}

LogicalResult Compilation::emitText(llvm::Expected<std::string> text) {
  return text ? write(options.output, *text) : failWith(text.takeError());
}

LogicalResult Compilation::emitCode(Manifest manifest, const Target &target, Parts &parts) {
  TimingScope stage = timing.nest("to machine code");
  if (options.stage == Stage::LLVM)
    return emitText(target.printIR(*module, manifest.entries));
  if (options.stage == Stage::Assembly)
    return emitText(target.printAssembly(*module, manifest.entries));
  auto objects = target.generateObjects(*module, manifest.entries);
  if (!objects)
    return failWith(objects.takeError());
  llvm::move(*objects, std::back_inserter(parts.objects));
  if (!parts.manifest)
    parts.manifest = std::move(manifest);
  else if (llvm::Error error = parts.manifest->addVersion(std::move(manifest)))
    return failWith(std::move(error));
  return success();
}

LogicalResult Compilation::writeArtifact(const Parts &parts) {
  TimingScope stage = timing.nest("to machine code");
  auto shared = linkSharedObject(SmallVector<StringRef>(parts.objects.begin(), parts.objects.end()));
  if (!shared)
    return failWith(shared.takeError());
  return write(options.output, packArtifact(*shared, parts.manifest->text(), description));
}

/// Names, roles and the like are in the manifest by now, and LLVM has no place for them but for what it should know of blocks.
static void dropEntryAttributes(ModuleOp module) {
  auto isOurs = [](NamedAttribute attribute) {
    StringRef dialect = attribute.getName().getValue().split('.').first;
    return dialect == PeerDialect::getDialectNamespace() ||
           dialect == bufferization::BufferizationDialect::getDialectNamespace();
  };
  auto kept = [&](DictionaryAttr dictionary) {
    return llvm::to_vector(llvm::make_filter_range(dictionary.getValue(), std::not_fn(isOurs)));
  };
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (isSharedBlock(function))
      function->setAttr("passthrough", Builder(module).getStrArrayAttr({kBlockCodeAttr}));
    function->setDiscardableAttrs(kept(function->getDiscardableAttrDictionary()));
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (DictionaryAttr dictionary = function.getArgAttrDict(i))
        function.setArgAttrs(i, kept(dictionary));
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (DictionaryAttr dictionary = function.getResultAttrDict(i))
        function.setResultAttrs(i, kept(dictionary));
  }
  module->setDiscardableAttrs(kept(module->getDiscardableAttrDictionary()));
}

LogicalResult Compilation::run(std::unique_ptr<llvm::MemoryBuffer> input, llvm::SourceMgr &sources) {
  TargetOptions wanted;
  wanted.plainLoops = options.plainLoops;
  wanted.mix = options.mix;
  wanted.keepIR = options.stage == Stage::LLVM;
  wanted.assembler = options.ptxas;
  wanted.warn = warnWith;
  auto targets = createTargets(options.target, wanted);
  if (!targets)
    return failWith(targets.takeError());
  if (targets->size() > 1 && (options.explain != Explain::No || options.stage != Stage::Artifact))
    return failWith((options.explain != Explain::No ? "--explain" : "--emit") +
                    Twine(" tells of one version of the code, and ") + options.target + " are " +
                    Twine(targets->size()) + ": name one CPU");
  if (!options.tuning.empty() && !targets->front()->isTunable())
    return failWith("--tune is about vector code for CPUs, and " +
                    (options.plainLoops ? "--plain-loops has none" : "the target is " + options.target));
  std::string model = llvm::sys::path::filename(input->getBufferIdentifier()).str();
  StringRef text = input->getBuffer(), file = input->getBufferIdentifier();
  if (!options.noDescription && options.stage == Stage::Artifact)
    description = text.str();
  sources.AddNewSourceBuffer(std::move(input), llvm::SMLoc());
  if (llvm::Error error = checkInputBytes(text, file))
    return failWith(std::move(error));
  if (llvm::Error error = checkDescriptionText(text, file))
    return failWith(std::move(error));
  module = parseSourceFile<ModuleOp>(sources, &context);
  if (!module)
    return failure();
  Explanation explanation;
  if (options.explain != Explain::No && failed(explanation.listen(context)))
    return failure();
  GraphOptions graph{!options.internalOps, options.accumulate, options.disabledExperts};
  if (failed(runPipeline("to graph level", [&](OpPassManager &pm) { buildGraphPipeline(pm, graph); })))
    return failure();
  if (options.stage == Stage::Graph)
    return printModule();
  if (!options.onlyEntry.empty()) {
    for (func::FuncOp function : llvm::make_early_inc_range(module->getOps<func::FuncOp>()))
      if (function.isPublic() && function.getName() != options.onlyEntry)
        function.erase();
    if (failed(runPipeline("to one entry", [](OpPassManager &pm) { pm.addPass(createSymbolDCEPass()); })))
      return failure();
  }
  GraphFactsMap facts = collectGraphFacts(*module);
  Parts parts;
  OwningOpRef<ModuleOp> graphLevel = std::move(module);
  for (auto [version, target] : llvm::enumerate(*targets)) {
    module = version + 1 < targets->size() ? graphLevel->clone() : std::move(graphLevel);
    bool isTuned = options.tunedVersion.empty() || options.tunedVersion == target->name();
    setTuning(*module, isTuned ? options.tuning : TuningValues());
    if (failed(lower(*target, version, model, facts, explanation, parts)))
      return failure();
  }
  if (parts.manifest && options.manifest)
    *options.manifest = parts.manifest->root;
  return parts.manifest ? writeArtifact(parts) : success();
}

/// From the graph level to the text that is wanted, or to the parts of the artifact.
LogicalResult Compilation::lower(const Target &target, unsigned version, StringRef model, const GraphFactsMap &facts,
                                 Explanation &explanation, Parts &parts) {
  if (failed(runPipeline("to tiled level", [&](OpPassManager &pm) { buildTiledPipeline(pm, target); })))
    return failure();
  if (options.stage == Stage::Tiled)
    return printModule();
  FailureOr<Manifest> manifest = buildManifest(*module, model, facts, target, version);
  if (failed(manifest))
    return failure();
  renameEntries(*module, manifest->entries);
  // Entries are called through memref descriptors.
  for (func::FuncOp function : module->getOps<func::FuncOp>())
    if (function.isPublic())
      function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), UnitAttr::get(&context));
  if (failed(runPipeline("to buffers",
                         [&](OpPassManager &pm) { buildBufferPipeline(pm, target, options.separateBlocks); })))
    return failure();
  if (options.explain != Explain::No)
    explanation.noteKernels(*module, manifest->entries);
  if (failed(runPipeline("to kernel level", [&](OpPassManager &pm) { buildKernelPipeline(pm, target); })))
    return failure();
  if (options.stage == Stage::Kernel)
    return printModule();
  dropEntryAttributes(*module);
  if (failed(runPipeline("to the LLVM dialect", [&](OpPassManager &pm) { target.buildLLVMPipeline(pm); })))
    return failure();
  if (options.explain == Explain::No)
    return emitCode(std::move(*manifest), target, parts);
  auto resources = target.measure(*module);
  if (!resources)
    return failWith(resources.takeError());
  explanation.noteResources(std::move(*resources));
  return write(options.output,
               options.explain == Explain::JSON ? explanation.json(model, target) : explanation.text(model, target));
}

LogicalResult checkOptions(const CompileOptions &options) {
  if (options.explain != Explain::No && options.stage != Stage::Artifact)
    return failWith("--explain tells of a whole compilation: leave --emit out");
  if (options.explain == Explain::No && options.stage == Stage::Artifact &&
      (options.output.empty() || options.output == "-"))
    return failWith("an artifact needs a file to be written to: give -o MODEL.peer");
  if (options.disabledExperts < 0)
    return failWith("--disable-top-experts is " + Twine(options.disabledExperts) + ", expected 0 or more");
  llvm::Error error = checkOutput(options.output, options.input);
  return error ? failWith(std::move(error)) : success();
}

LogicalResult compileModel(const CompileOptions &options, DialectRegistry &registry) {
  if (failed(checkOptions(options)))
    return failure();
  auto input = readInput(options.input);
  if (!input)
    return failWith(input.takeError());
  MLIRContext context(registry);
  // The place in the description says more to its author than a dump of the op.
  context.printOpOnDiagnostic(false);
  DefaultTimingManager timingManager;
  applyDefaultTimingManagerCLOptions(timingManager);
  TimingScope timing = timingManager.getRootScope();
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  return Compilation(options, context, timing).run(std::move(*input), sources);
}

} // namespace peer
