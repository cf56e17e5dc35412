#include "CpuDevice.h"

#include "Bandwidth.h"
#include "Blas.h"
#include "core/Allocator.h"
#include "core/Memory.h"
#include "device/CallFrame.h"

#include <unistd.h>

namespace peer::runtime {

namespace {
/// Wraps the buffers that the compiled code returned.
Result<TensorMap> takeResults(const Entry &entry, std::vector<ResultView> views, int64_t tokens) {
  Status status = checkResults(entry, views, tokens);
  TensorMap results;
  std::map<void *, std::shared_ptr<void>> owners; // two results may share one buffer
  for (ResultView &view : views) {
    std::shared_ptr<void> &owner = owners[view.allocated];
    if (!owner && view.allocated)
      owner = std::shared_ptr<void>(view.allocated, releaseBlock);
    results.emplace(view.info->name, Tensor::wrap(view.info->dtype, std::move(view.shape), view.data, owner));
  }
  if (!status.ok())
    return status;
  return results;
}

class CpuSession : public DeviceSession {
public:
  using DeviceSession::DeviceSession;

  Result<TensorMap> call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                         std::span<const ScalarValue> values) override {
    CallFrame frame(entry, tokens);
    for (size_t i = 0; i < entry.arguments.size(); ++i) {
      const Argument &argument = entry.arguments[i];
      // Descriptors are not const, but only arguments marked `updated` are written, and inputs and scalars are not.
      if (argument.role == Role::Input)
        frame.set(i, const_cast<void *>(inputs.find(argument.name)->second.data()));
      else if (argument.role == Role::Scalar)
        frame.set(i, const_cast<ScalarValue *>(&values[i]));
      else
        frame.set(i, host(argument.role).find(argument.name)->second.data());
    }
    std::string message;
    if (!runGuarded(artifact->function(entry), frame.arguments(), message))
      return Status::error("entry \"", entry.name, "\" of ", artifact->path(), ": ", message);
    return takeResults(entry, readResults(entry, frame.results()), tokens);
  }

  uint64_t peakBytes() const override { return allocatorUsage().peak; }
  void resetPeak() override { resetAllocatorPeak(); }
};

class CpuDevice : public Device {
public:
  std::string_view name() const override { return "cpu"; }
  std::string description() const override { return concat("BLAS kernels: ", blasCore()); }
  std::string place() const override { return ""; }
  Result<DeviceMemory> memory() override {
    uint64_t pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)),
             page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return DeviceMemory{pages * page, availableMemory()};
  }
  std::unique_ptr<DeviceSession> begin(std::shared_ptr<Artifact> artifact) override {
    return std::make_unique<CpuSession>(std::move(artifact));
  }
  Result<double> measureBandwidth() override { return measureReadBandwidth(); }
};
} // namespace

std::shared_ptr<Device> hostDevice() { return std::make_shared<CpuDevice>(); }

Result<std::shared_ptr<Device>> openCpuDevice(const std::string &) {
  PEER_TRY(loadBlas());
  return hostDevice();
}

} // namespace peer::runtime
