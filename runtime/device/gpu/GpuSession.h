// A session's side on a GPU: copies of its tensors there, and calls of entries whose buffers are all device memory.
//
// The first call of an entry with some T runs its host code. From the second on, a device that can records what the host code puts on the stream
// and runs the record again: the host code cannot see values, so it would do the same again as long as all addresses are the same. Copies of
// inputs and results are part of the record, so that such a call is one launch and one wait.
#pragma once

#include "DeviceCall.h"
#include "DeviceMirror.h"
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
  Result<TensorMap> call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                         std::span<const ScalarValue> values) override;
  uint64_t peakBytes() const override { return blocks.peak(); }
  void resetPeak() override { blocks.resetPeak(); }

private:
  /// The device's copies of a role's tensors.
  DeviceMirror &mirror(Role role) { return copies[placeOf(role)]; }
  const DeviceMirror &mirror(Role role) const { return copies[placeOf(role)]; }
  static size_t placeOf(Role role) { return role == Role::Parameter ? 0 : role == Role::State ? 1 : 2; }
  Result<CallPlan *> planFor(const Entry &entry, int64_t tokens);
  Status bindArguments(CallPlan &plan, const Entry &entry, const TensorMap &inputs,
                       std::span<const ScalarValue> values);
  Status execute(CallPlan &plan, const Entry &entry, int64_t tokens);
  /// Puts a call on the stream, with the copies of its inputs and results.
  Status enqueue(CallPlan &plan, const Entry &entry, int64_t tokens);
  Status runHostCode(CallPlan &plan, const Entry &entry);
  Status capture(CallPlan &plan, const Entry &entry, int64_t tokens, bool copies);
  Status fetchResults(CallPlan &plan, const Entry &entry, int64_t tokens, std::span<const int64_t> words);
  Result<TensorMap> takeResults(CallPlan &plan, const Entry &entry);

  GpuDevice &where;
  DeviceHeap blocks;
  LoadedModules modules;
  std::array<DeviceMirror, 3> copies;
  std::set<const Entry *> prepared;             // those all of whose tensors are on the device, where they stay
  std::vector<std::unique_ptr<CallPlan>> plans; // the least recently used first
};

} // namespace peer::runtime
