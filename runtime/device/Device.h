// What entries run on. The CPU is a device as any other: a session has its side on one and does not ask which.
#pragma once

#include "model/Artifact.h"

namespace peer::runtime {

/// Bytes that a device has and that it could still give.
struct DeviceMemory {
  uint64_t total = 0, free = 0;
};

/// What a device has executed since it was opened; zero where it does not count.
struct DeviceActivity {
  uint64_t laneOperations = 0; // instructions times the lanes that executed them
  double seconds = 0;          // spent executing them
};

/// A scalar argument's value, as it lies in memory.
union ScalarValue {
  float f32;
  double f64;
  int32_t i32;
  int64_t i64;
};

/// Where memory of a caller lies: its own, or the device's, as the caller has it from elsewhere.
struct Place {
  void *data = nullptr;
  bool onDevice = false;
};

/// A call on memory of the caller's. Arguments and results were checked.
struct RawCall {
  const Entry &entry;
  int64_t tokens;
  /// For each argument of the entry; looked at for inputs and scalars alone. Read in place.
  std::span<const Place> arguments;
  /// For each result; what has no memory is not wanted.
  std::span<const Place> results;
  /// Of the caller's, as the device's driver knows it: the call is put there and not waited for. Null: the results are there when it returns.
  void *stream = nullptr;
};

/// A session's side on a device: its tensors, and calls of entries on them.
///
/// Callers see the host's tensors. What is here is for devices that compute on these themselves; others have copies, and say so.
class DeviceSession {
public:
  explicit DeviceSession(std::shared_ptr<Artifact> artifact) : artifact(std::move(artifact)) {}
  virtual ~DeviceSession() = default;
  DeviceSession(const DeviceSession &) = delete;
  DeviceSession &operator=(const DeviceSession &) = delete;

  /// The host's tensors of a role: parameter, state or usage.
  TensorMap &host(Role role) { return role == Role::Parameter ? parameters : role == Role::State ? states : usage; }

  /// Brings what the device wrote to the host's tensors of a role.
  virtual Status download(Role) { return {}; }
  /// The host may write any tensor of a role from now on until the next call. Only after download().
  virtual void hostMayChange(Role) {}
  /// Sets all tensors of a role to zero, on both sides.
  virtual Status clear(Role role);

  /// Bytes of an entry's parameters, states and usage tensors that the device does not have yet, and needs beside the host's.
  virtual uint64_t missingBytes(const Entry &) const { return 0; }
  /// Makes the device's copies of the entry's tensors that the host has, and says so by isReady() where the host has all. States and usage
  /// tensors begin as zeros.
  virtual Status prepare(const Entry &entry) = 0;

  /// Whether all of an entry's parameters, states and usage tensors are where calls find them.
  virtual bool isReady(const Entry &entry) const = 0;
  /// Whether calls of ready entries that update nothing may be made by several threads at once.
  virtual bool runsAtOnce() const { return false; }

  /// Makes memory of the caller's, with the values that are there, a tensor of the session; that of before is given back.
  virtual Status bind(Role role, const std::string &name, DType dtype, const Shape &shape, Place place);
  /// Gives a bound tensor memory of the session's own, with the values that it has.
  virtual Status unbind(Role role, const std::string &name);
  /// Where a bound tensor lies; null for another.
  const Place *boundPlace(Role role, std::string_view name) const;
  /// Whether a caller has memory of the session's own, of an unbound tensor, to write it whenever nothing is called.
  virtual void handOut(Role, std::string_view, bool) {}
  /// What the host wrote to tensors of a role since hostMayChange() is in the memory that they were bound to.
  virtual Status flush(Role) { return {}; }

  /// Makes a call of an entry that is ready. After an error, updated arguments and results may have changed in part.
  virtual Status run(const RawCall &call) = 0;

  /// Calls an entry whose arguments were checked and prepared; values[i] is the value of argument i where that is a scalar. Results are
  /// host tensors. After an error, updated arguments may have changed in part.
  virtual Result<TensorMap> call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                                 std::span<const ScalarValue> values) = 0;

  /// Most bytes that compiled code held at once, beside its arguments, since resetPeak().
  virtual uint64_t peakBytes() const = 0;
  virtual void resetPeak() = 0;

protected:
  std::shared_ptr<Artifact> artifact; // what was loaded from its modules goes before it
  TensorMap parameters, states, usage;
  std::map<std::string, Place, std::less<>> bound[3]; // by role, as placeOf says
  static size_t placeOf(Role role) { return role == Role::Parameter ? 0 : role == Role::State ? 1 : 2; }
};

class Device {
public:
  virtual ~Device() = default;

  /// As it is registered: "cpu", "cuda", "sim".
  virtual std::string_view name() const = 0;
  /// What it is, for people: "NVIDIA H200, 150.1 GB, driver 12.4".
  virtual std::string description() const = 0;
  /// Where its memory is, for messages: " on the device cuda"; empty where it is the host's.
  virtual std::string place() const { return concat(" on the device ", name()); }
  /// The number of the GPU whose memory calls take in place, as its driver counts; none where they take the host's alone.
  virtual std::optional<int> gpuNumber() const { return std::nullopt; }
  virtual Result<DeviceMemory> memory() = 0;

  /// A session's side here. The device must outlive it.
  virtual std::unique_ptr<DeviceSession> begin(std::shared_ptr<Artifact> artifact) = 0;

  /// Whether later calls of an entry repeat what the second one put on the device: they have no kernels of their own to time.
  virtual bool replaysCalls() const { return false; }
  /// GB/s (1e9 bytes) at which it gets to the memory that tensors are in: the best of several passes.
  virtual Result<double> measureBandwidth() = 0;
  virtual DeviceActivity activity() const { return {}; }
};

} // namespace peer::runtime
