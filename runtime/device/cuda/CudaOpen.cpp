// Opening the device `cuda`: which GPU, whether it runs the artifact's code, context and stream.
#include "CudaArch.h"
#include "CudaDevice.h"

#include "core/Memory.h"
#include "core/Tensor.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace peer::runtime {

namespace cuda {

namespace {
constexpr const char *kDeviceVariable = "PEER_CUDA_DEVICE", *kBlockingVariable = "PEER_CUDA_BLOCKING";

/// The number of the GPU to use out of `count`.
Result<int> chosenNumber(int count) {
  const char *text = std::getenv(kDeviceVariable);
  if (!text || !*text)
    return 0;
  int number = -1;
  const char *end = text + std::strlen(text);
  auto [rest, error] = std::from_chars(text, end, number);
  if (error != std::errc() || rest != end || number < 0 || number >= count)
    return Status::error(kDeviceVariable, " is '", text, "', expected the number of a GPU, 0 to ", count - 1);
  return number;
}

std::string capabilityText(int capability) { return concat(capability / 10, ".", capability % 10); }

Status checkArch(const Arch &arch, const std::string &text, const Gpu &gpu) {
  if (arch.runsOn(gpu.capability))
    return {};
  std::string wanted = arch.suffix == 'a'   ? concat(" ", capabilityText(arch.number), " alone")
                       : arch.suffix == 'f' ? concat(" ", arch.number / 10, ".x from ", capabilityText(arch.number))
                                            : concat(" ", capabilityText(arch.number), " or newer");
  return Status::error("the artifact was compiled for ", text, ", which runs on GPUs of compute capability", wanted,
                       ", and the GPU here (", gpu.name, ") has ", capabilityText(gpu.capability));
}
} // namespace

Status CudaDevice::chooseGpu() {
  int count = 0;
  PEER_TRY(check(driver.deviceGetCount(&count), "the GPUs cannot be counted"));
  if (count == 0)
    return Status::error("there is no NVIDIA GPU: the driver found none");
  PEER_TRY_ASSIGN(int number, chosenNumber(count));
  PEER_TRY(check(driver.deviceGet(&ordinal, number), concat("GPU ", number, " cannot be used")));
  std::array<char, 256> name{};
  PEER_TRY(check(driver.deviceGetName(name.data(), static_cast<int>(name.size()), ordinal), "the GPU has no name"));
  gpu.name = name.data();
  int major = 0, minor = 0, shared = 0;
  PEER_TRY(check(driver.driverGetVersion(&gpu.driverVersion), "the driver's version is not known"));
  for (auto [attribute, value] :
       {std::pair{kCapabilityMajor, &major}, {kCapabilityMinor, &minor}, {kMaxSharedOptin, &shared}})
    PEER_TRY(check(driver.deviceGetAttribute(value, attribute, ordinal), "an attribute of the GPU is not known"));
  gpu.capability = 10 * major + minor;
  gpu.maxShared = static_cast<unsigned>(shared);
  return {};
}

Status CudaDevice::openStream() {
  Context retained = nullptr;
  PEER_TRY(check(driver.primaryCtxRetain(&retained, ordinal), concat("the GPU (", gpu.name, ") cannot be used")));
  context = retained;
  PEER_TRY(enterContext());
  PEER_TRY(check(driver.streamCreate(&own, kStreamNonBlocking), "a stream cannot be made"));
  stream = own;
  for (Event *event : {&given, &ownDone})
    PEER_TRY(check(driver.eventCreate(event, kEventDisableTiming), "an event cannot be made"));
  return {};
}

std::string CudaDevice::description() const {
  size_t free = 0, total = 0;
  (void)driver.ctxSetCurrent(context);
  (void)driver.memGetInfo(&free, &total);
  return concat(gpu.name, ", ", bytesText(total), ", compute capability ", capabilityText(gpu.capability),
                ", driver for CUDA ", versionText(gpu.driverVersion));
}

Result<std::shared_ptr<CudaDevice>> CudaDevice::open(const std::string &arch) {
  auto device = std::make_shared<CudaDevice>();
  PEER_TRY_ASSIGN(Arch parsed, Arch::parse(arch));
  PEER_TRY_ASSIGN(device->driver, openDriver());
  PEER_TRY(device->chooseGpu());
  PEER_TRY(checkArch(parsed, arch, device->gpu));
  PEER_TRY(device->openStream());
  const char *blocking = std::getenv(kBlockingVariable);
  device->blocking = blocking && std::string_view(blocking) == "1";
  return device;
}

Result<std::string> CudaDevice::localArch() {
  CudaDevice device;
  PEER_TRY_ASSIGN(device.driver, openDriver());
  PEER_TRY(device.chooseGpu());
  return concat("sm_", device.gpu.capability);
}

} // namespace cuda

Result<std::string> cudaArch() { return cuda::CudaDevice::localArch(); }

Result<std::shared_ptr<GpuDevice>> openCudaDevice(const std::string &arch) {
  PEER_TRY_ASSIGN(std::shared_ptr<cuda::CudaDevice> device, cuda::CudaDevice::open(arch));
  return std::shared_ptr<GpuDevice>(std::move(device));
}

} // namespace peer::runtime
