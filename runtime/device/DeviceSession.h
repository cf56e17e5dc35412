// A session's side on a device: copies of its tensors there, and calls of entries whose buffers are all device memory.
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

/// The host tensors of a session.
struct SessionTensors {
  TensorMap parameters, states, usage;
};

/// A scalar argument's value, as it lies in memory.
union ScalarValue {
  float f32;
  double f64;
  int32_t i32;
  int64_t i64;
};

class DeviceSession {
public:
  /// `tensors` must outlive it, `artifact`'s code stays mapped while it lives.
  DeviceSession(std::shared_ptr<Device> device, std::shared_ptr<Artifact> artifact, SessionTensors &tensors);
  ~DeviceSession();

  Device &device() { return *where; }
  DeviceHeap &heap() { return blocks; }

  /// The device's copies of a role's tensors: parameter, state or usage.
  DeviceMirror &mirror(Role role);
  /// Bytes of an entry's parameters, states and usage tensors that the device does not have yet.
  uint64_t missingBytes(const Entry &entry) const;
  /// Makes the device's copies of the entry's tensors that the host has. States and usage tensors begin as zeros.
  Status prepare(const Entry &entry);

  /// Calls an entry whose arguments were checked and prepared; values[i] is the value of argument i where that is a scalar. Results are
  /// host tensors. After an error, updated arguments may have changed in part.
  Result<TensorMap> call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                         std::span<const ScalarValue> values);

private:
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

  std::shared_ptr<Artifact> artifact; // its modules must outlive those loaded from them
  std::shared_ptr<Device> where;
  DeviceHeap blocks;
  LoadedModules modules;
  DeviceMirror parameters, states, usage;
  std::set<const Entry *> prepared;             // those all of whose tensors are on the device, where they stay
  std::vector<std::unique_ptr<CallPlan>> plans; // the least recently used first
};

} // namespace peer::runtime
