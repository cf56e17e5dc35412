// A session's side on a GPU: copies of its tensors there, and calls of entries whose buffers are all device memory.
//
// The first call of an entry with some T runs its host code. From the second on, a device that can records what the host code puts on the stream
// and runs the record again: the host code cannot see values, so it would do the same again as long as all addresses are the same. Copies of
// inputs and results are part of the record, so that such a call is one launch and one wait.
#pragma once

#include "DeviceCall.h"
#include "DeviceMirror.h"
#include "device/CallFrame.h"
#include "model/Artifact.h"

namespace peer::runtime {

class CallPlan;

class GpuSession : public DeviceSession {
public:
  GpuSession(GpuDevice &device, std::shared_ptr<Artifact> artifact);
  ~GpuSession() override;

  Status download(Role role) override { return mirror(role).download(); }
  void hostMayChange(Role role) override { mirror(role).hostMayChange(); }
  Status clear(Role role) override { return mirror(role).clear(); }
  uint64_t missingBytes(const Entry &entry) const override;
  Status prepare(const Entry &entry) override;
  bool isReady(const Entry &entry) const override { return prepared.contains(&entry); }
  Status bind(Role role, const std::string &name, DType dtype, const Shape &shape, Place place) override;
  Status unbind(Role role, const std::string &name) override;
  Status flush(Role role) override;
  Status run(const RawCall &call) override;
  Result<TensorMap> call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                         std::span<const ScalarValue> values) override;
  uint64_t peakBytes() const override { return blocks.peak(); }
  void resetPeak() override { blocks.resetPeak(); }

private:
  /// The device's copies of a role's tensors.
  DeviceMirror &mirror(Role role) { return copies[placeOf(role)]; }
  const DeviceMirror &mirror(Role role) const { return copies[placeOf(role)]; }
  Result<CallPlan *> planFor(const Entry &entry, int64_t tokens);
  Status bindArguments(CallPlan &plan, const Entry &entry, std::span<const Place> given);
  Status execute(CallPlan &plan, const Entry &entry, int64_t tokens);
  /// Puts a call on the stream, with the copies of its inputs and results.
  Status enqueue(CallPlan &plan, const Entry &entry, int64_t tokens);
  Status runHostCode(CallPlan &plan, const Entry &entry);
  Status capture(CallPlan &plan, const Entry &entry, int64_t tokens, bool copies);
  Status fetchResults(CallPlan &plan, const Entry &entry, int64_t tokens, std::span<const int64_t> words);
  Status takeResults(CallPlan &plan, const Entry &entry, std::span<const Place> wanted);
  /// Calls on memory of the host alone: through buffers that stay, and graphs.
  Status runBuffered(const RawCall &call);
  /// Calls on memory of the device, or on a stream of the caller's: kernels are put there as they come.
  Status runDirect(const RawCall &call);
  Status placeInputs(const RawCall &call, CallFrame &frame);
  Status enqueueDirect(const RawCall &call, CallFrame &frame);
  Status deliverDirect(const RawCall &call, CallFrame &frame);
  Status noteUpdates(const Entry &entry);

  GpuDevice &where;
  DeviceHeap blocks;
  LoadedModules modules;
  std::array<DeviceMirror, 3> copies;
  std::set<const Entry *> prepared;             // those all of whose tensors are on the device, where they stay
  std::vector<std::unique_ptr<CallPlan>> plans; // the least recently used first
};

} // namespace peer::runtime
