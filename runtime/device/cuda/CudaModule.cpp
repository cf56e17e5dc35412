#include "CudaModule.h"

#include "core/Tensor.h"

#include <algorithm>

namespace peer::runtime::cuda {

namespace {
constexpr size_t kLogBytes = 16 * 1024;
/// More of a compiler's log is for a file, not for a message.
constexpr size_t kLogShown = 600;

/// A log as one line.
std::string oneLine(std::string_view log) {
  std::string line;
  for (char c : log) {
    if (c == '\n')
      line += line.empty() || line.ends_with("; ") ? "" : "; ";
    else if (c != '\r')
      line += c;
  }
  while (line.ends_with(' ') || line.ends_with(';'))
    line.pop_back();
  if (line.size() > kLogShown)
    line.replace(kLogShown, std::string::npos, "...");
  return line;
}

Status refused(const DriverApi &driver, const Gpu &gpu, std::string_view ptx, Code code, std::string_view log) {
  PtxVersion version = ptxVersion(ptx);
  if (code == kUnsupportedPtxVersion || (code != kOutOfMemory && version.cuda / 10 > gpu.driverVersion / 10))
    return Status::error("the NVIDIA driver is too old: it supports CUDA ", versionText(gpu.driverVersion),
                         ", and PTX ", version.text, " of the artifact needs CUDA ", versionText(version.cuda));
  std::string said = oneLine(log);
  return Status::error("the NVIDIA driver does not load the artifact's PTX: ", errorText(driver, code),
                       said.empty() ? "" : ": ", said);
}
} // namespace

Result<std::unique_ptr<LoadedModule>> LoadedModule::load(const DriverApi &driver, const Gpu &gpu,
                                                         const ModuleImage &image) {
  auto module = std::make_unique<LoadedModule>();
  if (!image.cubin.empty()) {
    Code code = driver.moduleLoadDataEx(&module->handle, image.cubin.data(), 0, nullptr, nullptr);
    if (code == kSuccess)
      return module;
    // Machine code for another GPU, or of a compiler newer than the driver: that is what the PTX is for.
    if (image.ptx.empty())
      return Status::error("the NVIDIA driver does not load the artifact's machine code, and it holds no PTX: ",
                           errorText(driver, code));
  }
  std::string log(kLogBytes, '\0');
  std::array<int, 2> options{kJitErrorLog, kJitErrorLogBytes};
  std::array values{static_cast<void *>(log.data()), reinterpret_cast<void *>(log.size())};
  Code code = driver.moduleLoadDataEx(&module->handle, image.ptx.data(), options.size(), options.data(), values.data());
  if (code != kSuccess)
    return refused(driver, gpu, image.ptx, code, log.c_str());
  return module;
}

Result<LoadedFunction *> LoadedModule::function(const DriverApi &driver, const std::string &kernel) {
  if (auto found = functions.find(kernel); found != functions.end())
    return &found->second;
  LoadedFunction made;
  made.name = kernel;
  Code code = driver.moduleGetFunction(&made.handle, handle, kernel.c_str());
  if (code == kNotFound)
    return Status::error("no kernel '", kernel, "' in the module");
  int shared = 0;
  if (code == kSuccess)
    code = driver.funcGetAttribute(&shared, kFunctionStaticShared, made.handle);
  if (code != kSuccess)
    return Status::error("kernel '", kernel, "' cannot be loaded: ", errorText(driver, code));
  made.staticShared = static_cast<unsigned>(shared);
  made.dynamicShared = kSharedWithoutAsking - std::min(kSharedWithoutAsking, made.staticShared);
  if (driver.funcGetParamInfo) {
    size_t count = 0, offset = 0, bytes = 0;
    while (driver.funcGetParamInfo(made.handle, count, &offset, &bytes) == kSuccess)
      ++count;
    made.parameters = count;
  }
  return &functions.emplace(kernel, std::move(made)).first->second;
}

Status allowShared(const DriverApi &driver, const Gpu &gpu, LoadedFunction &function, unsigned bytes) {
  if (bytes <= function.dynamicShared)
    return {};
  uint64_t needed = uint64_t{bytes} + function.staticShared;
  if (needed > gpu.maxShared)
    return Status::error("kernel '", function.name, "' needs ", needed,
                         " bytes of shared memory in a block, and the GPU (", gpu.name, ") has ", gpu.maxShared);
  Code code = driver.funcSetAttribute(function.handle, kFunctionMaxDynamicShared, static_cast<int>(bytes));
  if (code != kSuccess)
    return Status::error("kernel '", function.name, "' gets no ", bytes,
                         " bytes of dynamic shared memory: ", errorText(driver, code));
  function.dynamicShared = bytes;
  return {};
}

} // namespace peer::runtime::cuda
