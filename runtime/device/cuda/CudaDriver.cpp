#include "CudaDriver.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <dlfcn.h>

namespace peer::runtime::cuda {

namespace {
constexpr const char *kLibrary = "libcuda.so.1";

template <typename F>
bool find(void *handle, const char *symbol, F &function) {
  function = reinterpret_cast<F>(dlsym(handle, symbol));
  return function != nullptr;
}
} // namespace

Result<DriverApi> openDriver() {
  const char *given = std::getenv("PEER_CUDA_LIBRARY");
  const char *library = given && *given ? given : kLibrary;
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return Status::error("there is no NVIDIA driver: ", library, " was not found (", dlerror(), ")");
  DriverApi driver;
  const char *missing = nullptr;
#define PEER_CUDA_FIND(member, symbol, parameters)                                                                     \
  if (!find(handle, #symbol, driver.member) && !missing)                                                               \
    missing = #symbol;
  PEER_CUDA_API(PEER_CUDA_FIND)
#undef PEER_CUDA_FIND
  if (missing)
    return Status::error("the NVIDIA driver is too old: ", library, " has no ", missing, "; CUDA 11.4 or newer has it");
  // Not every library has it, and none has to.
  (void)find(handle, "cuFuncGetParamInfo", driver.funcGetParamInfo);
  if (Code code = driver.init(0); code == kNoDevice)
    return Status::error("there is no NVIDIA GPU: the driver found none");
  else if (code != kSuccess)
    return Status::error("the NVIDIA driver does not start: ", errorText(driver, code));
  return driver;
}

std::string errorText(const DriverApi &driver, Code code) {
  const char *name = nullptr, *text = nullptr;
  if (driver.getErrorName(code, &name) != kSuccess || !name)
    return concat("CUDA error ", code);
  if (driver.getErrorString(code, &text) != kSuccess || !text)
    return name;
  return concat(name, " (", text, ")");
}

bool isKernelFailure(Code code) {
  switch (code) {
  case kIllegalAddress:
  case kLaunchTimeout:
  case kAssert:
  case kHardwareStackError:
  case kIllegalInstruction:
  case kMisalignedAddress:
  case kInvalidAddressSpace:
  case kInvalidPc:
  case kLaunchFailed:
    return true;
  default:
    return false;
  }
}

std::string versionText(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

Result<Arch> Arch::parse(std::string_view text) {
  Arch arch;
  auto wrong = [&] { return Status::error("'", text, "' is no architecture of NVIDIA GPUs, such as sm_90"); };
  if (!text.starts_with("sm_"))
    return wrong();
  const char *end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data() + 3, end, arch.number);
  if (error != std::errc() || arch.number < 10)
    return wrong();
  if (rest != end && (*rest == 'a' || *rest == 'f'))
    arch.suffix = *rest++;
  if (rest != end)
    return wrong();
  return arch;
}

bool Arch::runsOn(int capability) const {
  if (suffix == 'a')
    return capability == number;
  if (suffix == 'f')
    return capability / 10 == number / 10 && capability >= number;
  return capability >= number;
}

PtxVersion ptxVersion(std::string_view ptx) {
  constexpr std::string_view directive = ".version";
  size_t at = ptx.find(directive);
  if (at == std::string_view::npos)
    return {};
  at = ptx.find_first_not_of(" \t", at + directive.size());
  int major = 0, minor = 0;
  const char *end = ptx.data() + ptx.size();
  auto [dot, error] = std::from_chars(ptx.data() + std::min(at, ptx.size()), end, major);
  if (error != std::errc() || dot == end || *dot != '.' || std::from_chars(dot + 1, end, minor).ec != std::errc())
    return {};
  PtxVersion version{concat(major, ".", minor), 0};
  // The release history in the PTX ISA. CUDA 12.6 brought no version; what came before CUDA 11 is known to every driver that has graphs.
  if (major >= 9)
    version.cuda = 1000 * (major + 4) + 10 * minor;
  else if (major == 8)
    version.cuda = 12000 + 10 * (minor <= 5 ? minor : minor + 1);
  else
    version.cuda = 11000 + (major == 7 ? 10 * minor : 0);
  return version;
}

} // namespace peer::runtime::cuda
