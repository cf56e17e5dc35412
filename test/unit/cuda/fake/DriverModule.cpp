// Modules, functions, launches.
#include "FakeDriver.h"
#include "FakeImage.h"
#include "sim/ptx/Decode.h"

#include <cstring>

namespace peer::runtime::cuda::fake {

namespace {
/// The kernels as decoded, for what a loaded module does not tell.
Result<std::vector<sim::Program>> decode(const std::string &ptx, const sim::LoadedModule &loaded) {
  PEER_TRY_ASSIGN(sim::Module module, sim::parse(ptx));
  std::vector<uint64_t> addresses;
  for (const sim::Variable &variable : module.variables)
    addresses.push_back(loaded.variable(variable.name));
  std::vector<sim::Program> programs;
  for (const std::string &kernel : loaded.kernels()) {
    PEER_TRY_ASSIGN(sim::Program program, sim::Decoder(module, addresses).run(*module.find(kernel)));
    programs.push_back(std::move(program));
  }
  return programs;
}

/// Compilers number kernels of one name.
bool meant(const std::string &setting, const std::string &kernel) {
  return !setting.empty() && kernel.starts_with(setting);
}

Code codeOf(sim::FaultKind kind) {
  switch (kind) {
  case sim::FaultKind::OutOfBounds:
    return kIllegalAddress;
  case sim::FaultKind::Misaligned:
    return kMisalignedAddress;
  default:
    return kLaunchFailed;
  }
}

Code runKernel(Driver &self, const sim::LoadedModule &module, const std::string &name, sim::Dim3 grid, sim::Dim3 block,
               unsigned sharedBytes, const std::vector<uint8_t> &parameters) {
  if (meant(self.settings.fail, name))
    return kLaunchFailed;
  Result<sim::LaunchResult> result = self.simulator->launch(module, name, grid, block, sharedBytes, parameters);
  if (!result.ok())
    return self.explain(kLaunchFailed, result.message());
  for (const sim::Fault &fault : result->faults)
    return self.explain(codeOf(fault.kind), fault.text());
  return kSuccess;
}
} // namespace

FakeFunction *Driver::find(Function handle) {
  for (auto &[key, module] : modules)
    for (auto &[name, function] : module->functions)
      if (reinterpret_cast<Function>(function.get()) == handle)
        return function.get();
  return nullptr;
}

Code cuModuleLoadDataEx(Module *module, const void *image, unsigned count, int *options, void **values) {
  return inContext([=](Driver &self) -> Code {
    if (Code code = self.refuseInCapture())
      return code;
    if (self.settings.memory == 0)
      return kOutOfMemory;
    JitLog log;
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == kJitErrorLog)
        log.text = static_cast<char *>(values[i]);
      else if (options[i] == kJitErrorLogBytes)
        log.bytes = reinterpret_cast<size_t>(values[i]);
    std::string ptx;
    if (Code code = readImage(self.settings, static_cast<const char *>(image), log, ptx))
      return code;
    Result<const sim::LoadedModule *> loaded = self.simulator->load(ptx);
    if (!loaded.ok())
      return log.fail(kInvalidPtx, loaded.message());
    auto made = std::make_unique<FakeModule>();
    made->loaded = std::make_shared<const sim::LoadedModule *>(*loaded);
    Result<std::vector<sim::Program>> programs = decode(ptx, **loaded);
    if (!programs.ok())
      return log.fail(kInvalidPtx, programs.message());
    for (const sim::Program &program : *programs) {
      auto function = std::make_unique<FakeFunction>();
      function->name = program.name;
      function->module = made->loaded;
      function->parameters = program.parameters;
      function->staticShared = program.sharedBytes;
      function->maxDynamicShared = kSharedWithoutAsking - std::min(kSharedWithoutAsking, program.sharedBytes);
      const auto &most = program.maxThreads;
      if (most[0])
        function->maxThreads = most[0] * most[1] * most[2];
      made->functions[program.name] = std::move(function);
    }
    *module = self.modules.make(std::move(made));
    ++self.counts.modules;
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuModuleUnload(Module module) {
  return inContext([=](Driver &self) -> Code {
    FakeModule *found = self.modules.find(module);
    if (!found)
      return kInvalidHandle;
    if (Code code = self.drainAll())
      return code;
    self.simulator->unload(*found->loaded);
    self.modules.erase(module);
    --self.counts.alive;
    return kSuccess;
  });
}

Code cuModuleGetFunction(Function *function, Module module, const char *name) {
  return inContext([=](Driver &self) -> Code {
    FakeModule *found = self.modules.find(module);
    if (!found)
      return kInvalidHandle;
    auto kernel = found->functions.find(name);
    if (kernel == found->functions.end())
      return kNotFound;
    *function = reinterpret_cast<Function>(kernel->second.get());
    return kSuccess;
  });
}

Code cuFuncGetAttribute(int *value, int attribute, Function function) {
  return inContext([=](Driver &self) -> Code {
    const FakeFunction *found = self.find(function);
    if (!found)
      return kInvalidHandle;
    if (attribute == kFunctionMaxThreads)
      *value = static_cast<int>(found->maxThreads);
    else if (attribute == kFunctionStaticShared)
      *value = static_cast<int>(found->staticShared);
    else if (attribute == kFunctionMaxDynamicShared)
      *value = static_cast<int>(found->maxDynamicShared);
    else
      return kInvalidValue;
    return kSuccess;
  });
}

Code cuFuncGetParamInfo(Function function, size_t index, size_t *offset, size_t *bytes) {
  return inContext([=](Driver &self) -> Code {
    const FakeFunction *found = self.find(function);
    if (!found)
      return kInvalidHandle;
    if (index >= found->parameters.size())
      return kInvalidValue;
    *offset = found->parameters[index].offset;
    *bytes = found->parameters[index].bytes;
    return kSuccess;
  });
}

Code cuFuncSetAttribute(Function function, int attribute, int value) {
  return inContext([=](Driver &self) -> Code {
    FakeFunction *found = self.find(function);
    int most = 0;
    cuDeviceGetAttribute(&most, kMaxSharedOptin, 0);
    if (!found)
      return kInvalidHandle;
    if (attribute != kFunctionMaxDynamicShared || value < 0 || value + static_cast<int>(found->staticShared) > most)
      return kInvalidValue;
    found->maxDynamicShared = static_cast<unsigned>(value);
    return kSuccess;
  });
}

Code cuLaunchKernel(Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                    unsigned blockZ, unsigned sharedBytes, Stream stream, void **parameters, void **extra) {
  return inContext([=](Driver &self) -> Code {
    FakeFunction *found = self.find(function);
    if (!found)
      return kInvalidHandle;
    sim::Dim3 grid{gridX, gridY, gridZ}, block{blockX, blockY, blockZ};
    if (extra || grid.count() == 0 || block.count() == 0 || gridX > 0x7fffffff || gridY > 65535 || gridZ > 65535 ||
        blockX > 1024 || blockY > 1024 || blockZ > 64 || block.count() > 1024 || sharedBytes > found->maxDynamicShared)
      return kInvalidValue;
    if (block.count() > found->maxThreads || meant(self.settings.refuse, found->name))
      return kLaunchOutOfResources;
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i < found->parameters.size(); ++i) {
      const auto &[offset, size] = found->parameters[i];
      bytes.resize(offset + size);
      std::memcpy(bytes.data() + offset, parameters[i], size);
    }
    auto run = [=, &self, name = found->name, module = found->module]() -> Code {
      std::shared_ptr<const sim::LoadedModule *> loaded = module.lock();
      if (!loaded)
        return self.explain(kLaunchFailed, "kernel '" + name + "' of a module that was unloaded");
      return runKernel(self, **loaded, name, grid, block, sharedBytes, bytes);
    };
    return self.enqueue(stream, {run, true});
  });
}

} // namespace peer::runtime::cuda::fake
