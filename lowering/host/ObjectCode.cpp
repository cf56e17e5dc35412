//===- ObjectCode.cpp - LLVM dialect to a shared object ------------------===//

#include "ObjectCode.h"

#include "TemporaryFile.h"

#include "lld/Common/Driver.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"

LLD_HAS_DRIVER(elf)

using namespace llvm;

namespace peer {

/// `void symbol(void **args)`: the arguments' descriptors, then the results'.
static Error addEntry(Module &module, const EntrySignature &entry) {
  Function *callee = module.getFunction("_mlir_ciface_" + entry.function);
  if (!callee)
    return createStringError("no code was generated for entry '%s'", entry.name.c_str());
  LLVMContext &context = module.getContext();
  Type *pointer = PointerType::getUnqual(context);
  auto *function = Function::Create(FunctionType::get(Type::getVoidTy(context), {pointer}, false),
                                    GlobalValue::ExternalLinkage, entry.symbol, module);
  IRBuilder<> b(BasicBlock::Create(context, "entry", function));
  auto argument = [&](unsigned i) -> Value * {
    return b.CreateLoad(pointer, b.CreateConstInBoundsGEP1_32(pointer, function->getArg(0), i));
  };
  SmallVector<Value *> arguments;
  // The C interface returns through its first argument.
  if (entry.numResults)
    arguments.push_back(argument(entry.numArguments));
  for (unsigned i = 0; i < entry.numArguments; ++i)
    arguments.push_back(argument(i));
  if (callee->arg_size() != arguments.size())
    return createStringError("entry '%s' has %u parameters in compiled code, expected %u", entry.name.c_str(),
                             unsigned(callee->arg_size()), unsigned(arguments.size()));
  b.CreateCall(callee, arguments);
  b.CreateRetVoid();
  return Error::success();
}

static void optimize(Module &module, TargetMachine &machine, Effort effort) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager graphs;
  ModuleAnalysisManager modules;
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = true;
  // Passes over all calls of a module take time by the square of their number, and compiled code has nothing for them: each kernel
  // is called directly, with addresses.
  PassInstrumentationCallbacks callbacks;
  callbacks.registerShouldRunOptionalPassCallback([](StringRef pass, const Any &) {
    return pass != "CalledValuePropagationPass" && pass != "ArgumentPromotionPass";
  });
  PassBuilder builder(&machine, tuning, std::nullopt, &callbacks);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  ModulePassManager passes = effort == Effort::Full ? builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
                                                    : builder.buildO0DefaultPipeline(OptimizationLevel::O0);
  passes.run(module, modules);
}

/// A kernel that is inlined is optimized again at each of its calls: a third of a compilation's time, and nothing runs faster.
static void keepKernelsApart(Module &module, ArrayRef<EntrySignature> entries) {
  auto callsKernels = [&](const Function &function) {
    return function.hasFnAttribute(kBlockCodeAttr) ||
           any_of(entries, [&](const EntrySignature &entry) { return function.getName() == entry.function; });
  };
  for (Function &function : make_filter_range(module, callsKernels))
    for (Instruction &instruction : instructions(function))
      if (auto *call = dyn_cast<CallInst>(&instruction); call && !isa<IntrinsicInst>(call))
        call->setIsNoInline();
}

/// LLVM's time grows with the square of a function's length. An entry of a deep model is long, and it calls kernels and computes
/// nothing itself: then its own code is translated as it is.
static void skimLongEntries(Module &module, ArrayRef<EntrySignature> entries) {
  constexpr unsigned kLong = 1000;
  for (const EntrySignature &entry : entries)
    if (Function *function = module.getFunction(entry.function); function && function->getInstructionCount() > kLong) {
      function->addFnAttr(Attribute::OptimizeNone);
      function->addFnAttr(Attribute::NoInline);
    }
}

Expected<std::unique_ptr<Module>> buildLLVMModule(mlir::ModuleOp source, LLVMContext &context,
                                                  ArrayRef<EntrySignature> entries, const CpuTarget &target,
                                                  Effort effort) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  std::unique_ptr<Module> module = mlir::translateModuleToLLVMIR(source, context, "peer");
  if (!module)
    return createStringError("translation to LLVM IR failed");
  module->setTargetTriple((*machine)->getTargetTriple());
  module->setDataLayout((*machine)->createDataLayout());
  for (const EntrySignature &entry : entries)
    if (Error error = addEntry(*module, entry))
      return std::move(error);
  for (Function &function : *module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorWidth() * 32));
    if (none_of(entries, [&](const EntrySignature &e) { return function.getName() == e.symbol; }))
      function.setLinkage(GlobalValue::InternalLinkage);
  }
  std::string broken;
  raw_string_ostream stream(broken);
  if (verifyModule(*module, &stream))
    return createStringError("generated LLVM IR is malformed: %s", broken.c_str());
  if (effort == Effort::Full) {
    keepKernelsApart(*module, entries);
    skimLongEntries(*module, entries);
  }
  optimize(*module, **machine, effort);
  return module;
}

Expected<std::unique_ptr<Module>> buildDataModule(LLVMContext &context, StringRef name, StringRef bytes,
                                                  const CpuTarget &target) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  auto module = std::make_unique<Module>(name, context);
  module->setTargetTriple((*machine)->getTargetTriple());
  module->setDataLayout((*machine)->createDataLayout());
  auto define = [&](const Twine &symbol, Constant *value) {
    auto *global =
        new GlobalVariable(*module, value->getType(), /*isConstant=*/true, GlobalValue::ExternalLinkage, value, symbol);
    global->setAlignment(Align(64));
  };
  define(name, ConstantDataArray::getString(context, bytes, /*AddNull=*/false));
  define(name + "_size", ConstantInt::get(Type::getInt64Ty(context), bytes.size()));
  return module;
}

std::string textOf(const Module &module) {
  std::string text;
  raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

Expected<SmallString<0>> generateCode(Module &module, const CpuTarget &target, Effort effort, bool assembly) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  if (effort == Effort::Quick)
    (*machine)->setOptLevel(CodeGenOptLevel::None);
  SmallString<0> code;
  raw_svector_ostream stream(code);
  legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr,
                                      assembly ? CodeGenFileType::AssemblyFile : CodeGenFileType::ObjectFile))
    return createStringError("LLVM cannot emit this kind of file for this machine");
  passes.run(module);
  return code;
}

Expected<std::string> linkSharedObject(ArrayRef<StringRef> objects) {
  TemporaryFile output;
  if (Error error = output.create("so"))
    return std::move(error);
  // What the objects leave undefined is the runtime's: hooks, OpenMP, libm.
  std::string outputPath = output.path().str();
  std::vector<const char *> arguments{"ld.lld",           "-shared",         "-z", "now",
                                      "--hash-style=gnu", "--build-id=sha1", "-o", outputPath.c_str()};
  std::vector<TemporaryFile> inputs(objects.size());
  std::vector<std::string> paths;
  for (auto [object, input] : zip(objects, inputs)) {
    if (Error error = input.create("o"))
      return std::move(error);
    if (Error error = input.write(object))
      return std::move(error);
    paths.push_back(input.path().str());
  }
  for (const std::string &path : paths)
    arguments.push_back(path.c_str());
  std::string messages;
  raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode)
    return createStringError("linking failed: %s", messages.c_str());
  return output.read();
}

} // namespace peer
