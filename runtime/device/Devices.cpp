#include "Devices.h"

#include "artifact/format.h"
#include "cpu/CpuDevice.h"
#include "cuda/CudaArch.h"
#include "gpu/GpuDevice.h"
#include "gpu/SimLibrary.h"

#include <algorithm>

namespace peer::runtime {

namespace {
/// What descriptions are compiled for where the simulator runs them: it executes what any GPU does.
constexpr const char *kSimulatedArch = "sm_90";
constexpr std::string_view kGpuModels = "models compiled for GPUs (peer-opt --target=sm_90)";

/// As a device of no particular kind.
template <auto open>
Result<std::shared_ptr<Device>> opened(const std::string &arch) {
  PEER_TRY_ASSIGN(std::shared_ptr<Device> device, open(arch));
  return device;
}

const DeviceKind kKinds[] = {
    {"cpu", format::device::kCpu, "this machine's processor", "models compiled for CPUs (peer-opt --target=cpu)", true,
     opened<openCpuDevice>, [] { return Result<std::string>("cpu"); }},
    {"cuda", format::device::kCuda, "an NVIDIA GPU", kGpuModels, false, opened<openCudaDevice>, cudaArch},
    {"sim", format::device::kCuda, "a GPU's kernels executed on the CPU, which says what they do wrong", kGpuModels,
     true, opened<openSimDevice>, [] { return Result<std::string>(kSimulatedArch); }},
};

/// The names of those that run what was compiled for `target`, but for `except`.
std::vector<std::string> namesFor(std::string_view target, std::string_view except = "") {
  std::vector<std::string> names;
  for (const DeviceKind &kind : kKinds)
    if (kind.runs == target && kind.name != except)
      names.emplace_back(kind.name);
  return names;
}

std::string joined(const std::vector<std::string> &names, std::string_view last) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += concat(i == 0 ? "" : i + 1 == names.size() ? last : ", ", names[i]);
  return text;
}
} // namespace

std::span<const DeviceKind> deviceKinds() { return kKinds; }

std::string deviceNames() {
  std::vector<std::string> names;
  for (const DeviceKind &kind : kKinds)
    names.emplace_back(kind.name);
  return joined(names, ", ");
}

Result<const DeviceKind *> findDevice(std::string_view name) {
  auto found = std::ranges::find(kKinds, name, &DeviceKind::name);
  if (found == std::end(kKinds))
    return Status::error("unknown device '", name, "' (known: ", deviceNames(), ")");
  return found;
}

Result<const DeviceKind *> chooseDevice(const Manifest &manifest, const std::string &wanted, const std::string &path) {
  std::vector<std::string> names = namesFor(manifest.device);
  if (names.empty())
    return Status::error(path, " was compiled for the device '", manifest.device,
                         "', and this runtime has: ", deviceNames());
  PEER_TRY_ASSIGN(const DeviceKind *kind, findDevice(wanted.empty() ? manifest.device : wanted));
  if (kind->runs == manifest.device)
    return kind;
  if (names.size() > 1)
    return Status::error(path, " was compiled for GPUs (", manifest.arch, "): it runs on the devices ",
                         joined(names, " and "));
  return Status::error(path, " was compiled for the device '", manifest.device, "', and '", kind->name, "' runs ",
                       kind->models);
}

Result<std::shared_ptr<Device>> openDevice(const DeviceKind &kind, const Manifest &manifest, const std::string &path) {
  Result<std::shared_ptr<Device>> device = kind.open(manifest.arch);
  if (device.ok())
    return device;
  std::string more;
  for (const DeviceKind &other : kKinds)
    if (other.everywhere && other.runs == kind.runs && &other != &kind)
      more += concat("; the device ", other.name, " executes it on the CPU (--device=", other.name, ")");
  return Status::error(path, " cannot run on the device ", kind.name, ": ", device.message(), more);
}

} // namespace peer::runtime
