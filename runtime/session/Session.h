// A session: an artifact with its parameters, states and usage tensors, and calls of its entries on named tensors.
//
// A session is used by one thread at a time, but for run() where runsAtOnce() says so; compiled code uses OpenMP's threads inside a call. Where its device has memory of its own, parameters,
// states and usage live there; the host's tensors are brought up to date when they are asked for.
#pragma once

#include "device/Device.h"
#include "device/Profile.h"
#include "model/Safetensors.h"
#include "peer_runtime.h"

#include <functional>

namespace peer::runtime {

/// Values of an entry's scalar arguments by name; integers are given as whole numbers.
using ScalarMap = std::map<std::string, double, std::less<>>;

/// Views as a program gives them, in an array of structures whose size its first one says.
struct ViewList {
  const peer_view *first = nullptr;
  size_t count = 0;
  const peer_view &operator[](size_t index) const {
    return *reinterpret_cast<const peer_view *>(reinterpret_cast<const char *>(first) + index * first->size);
  }
};

/// When the kernels of a call ran: each mark ends the kernel before it.
struct CallTimes {
  const Entry &entry;
  int64_t tokens;
  std::span<const ProfileMark> marks;
  int64_t start, end; // of the call, by the steady clock in nanoseconds
};

struct RunOptions {
  /// Integers lie in their ranges, and are not read to see it.
  bool trusted = false;
  void *stream = nullptr;
};

class Session {
public:
  /// Opens the artifact on a device of device/Devices.h, by default the one it was compiled for. Allocates nothing yet.
  static Result<std::unique_ptr<Session>> open(const ModelFile &model, const std::string &device = "");
  /// Opens the artifact for its parameters alone: nothing can be called, and no device is needed.
  static Result<std::unique_ptr<Session>> openParameters(const ModelFile &model);
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  const std::string &path() const { return loaded->path(); }
  const Manifest &manifest() const { return loaded->manifest(); }
  const std::string &manifestText() const { return loaded->manifestText(); }
  /// The entry, or an error that lists those there are.
  Result<const Entry *> entry(std::string_view name) const { return manifest().requireEntry(name, path()); }

  /// Fills all parameters by their initialisers. The same seed gives the same values at any thread count.
  /// Fails, saying how much is needed, where they do not fit in memory.
  Status initParameters(uint64_t seed);

  /// Loads all parameters from a file. Names, dtypes and shapes must match exactly; every other tensor in the file is an error,
  /// unless its name begins with `ignorePrefix` (when not empty). A prefix that all names of the file have is left out, and `note`,
  /// where given, says so.
  Status loadParameters(const SafetensorsFile &file, std::string_view ignorePrefix = "", std::string *note = nullptr);
  Status loadParameters(const std::string &path);
  /// The same of those parameters that the file has, which are some at least; the others stay as they are. Call it after initParameters. Returns how
  /// many they are.
  Result<size_t> replaceParameters(const SafetensorsFile &file, std::string_view ignorePrefix = "",
                                   std::string *note = nullptr);

  /// Writes all parameters, atomically.
  Status saveParameters(const std::string &path, const Metadata &metadata = {}) const;

  /// Parameters by name; empty until initParameters or loadParameters. What is written to a tensor counts from the next call on. Ask for it again
  /// after every call: on a device a reference from before shows old values, and what is written to it may be lost; on the CPU what was derived from a
  /// parameter does not follow.
  TensorMap &parameters() { return hostTensors(Role::Parameter); }
  const TensorMap &parameters() const { return hostTensors(Role::Parameter); }

  /// States and usage tensors by name, under the same conditions. Those of an entry appear with its first call, or with prepare().
  TensorMap &states() { return hostTensors(Role::State); }
  const TensorMap &states() const { return hostTensors(Role::State); }
  TensorMap &usage() { return hostTensors(Role::Usage); }
  const TensorMap &usage() const { return hostTensors(Role::Usage); }

  /// Brings what a device wrote to the host's tensors. The accessors above do so too, but leave an error to the next call or save.
  Status download() const;

  /// Allocates (as zeros) the states and usage tensors of an entry that are not there yet. Fails, saying how much is needed, where they and the
  /// parameters still to come do not fit in memory: called before initParameters or loadParameters, it checks the sum of both before touching any.
  Status prepare(const Entry &entry);

  /// Sets all states, or all usage tensors, to zero.
  void clearStates();
  void clearUsage();

  /// The scalars an entry takes at their defaults: groups' learning rates, step 1, position 0.
  ScalarMap defaultScalars(const Entry &entry) const;

  /// Calls an entry. `inputs` must hold its inputs exactly, `scalars` its scalars exactly. T is deduced from the inputs' shapes; T = 0 is allowed.
  /// Results are returned by name, on the host. On an error nothing was called, except where memory ran out within the call or a device
  /// reported what a kernel did: then updated arguments may have changed in part. Where an index that the compiled code computed is out of
  /// range the call was made, with other indices, and fails; a training step then left parameters and states as they were.
  Result<TensorMap> call(std::string_view entry, const TensorMap &inputs, const ScalarMap &scalars = {});
  Result<TensorMap> call(const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars);

  /// Has call() time the kernels of each call and say what it found; an empty function ends it. One session in a process at a time.
  void timeKernels(std::function<void(const CallTimes &)> found) { onCall = std::move(found); }

  /// Calls an entry on memory of the caller's, as peer_run says.
  Status run(const Entry &entry, ViewList arguments, ViewList results, const RunOptions &options);
  /// Whether run() of this entry may be called now by several threads at once.
  bool runsAtOnce(const Entry &entry) const;

  /// Makes the parameters of another session of the same model this one's, too, and of an entry the states and usage tensors: both compute on the same
  /// memory. The other one has them by now, outlives this one, and its device computes where the host's tensors are.
  Status share(Session &other, const Entry &entry);

  /// Makes memory of the caller's a parameter, or a state or usage tensor by its name with "state:" or "usage:" in front, as peer_bind says.
  Status bind(std::string_view name, const peer_view &view);
  /// Gives it memory of the session's own with the values that it has. Where it has that, nobody writes there by a view() of before any more.
  Status unbind(std::string_view name);
  /// Where it lies.
  Status view(std::string_view name, peer_view &view);

  /// Checks the inputs of an entry as call() does; returns T (0 for an entry without a dynamic dimension).
  Result<int64_t> checkInputs(const Entry &entry, const TensorMap &inputs) const;

  /// What calls run on.
  Device &device() const { return *where; }

  /// Most bytes that compiled code held at once, beside its arguments, since resetPeak().
  uint64_t peakBytes() const { return side->peakBytes(); }
  void resetPeak() { side->resetPeak(); }

private:
  Session(std::shared_ptr<Artifact> artifact, std::shared_ptr<Device> device)
      : loaded(std::move(artifact)), where(std::move(device)), side(where->begin(loaded)) {}
  Status allocateParameters();
  /// Everything that an entry needs beside what is given to a call.
  Status makeReady(const Entry &entry);
  Result<TensorMap> callTimed(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                              std::span<const ScalarValue> values);
  void clear(Role role);
  Status checkRoom(uint64_t bytes, std::string_view what) const;
  TensorMap &hostTensors(Role role);
  const TensorMap &hostTensors(Role role) const;

  std::shared_ptr<Artifact> loaded;
  std::shared_ptr<Device> where;
  std::unique_ptr<DeviceSession> side; // of const sessions, too: callers see what the device wrote
  bool parametersOnly = false;
  std::function<void(const CallTimes &)> onCall;
  mutable Status deviceFailure; // of an accessor, until it is reported
};

} // namespace peer::runtime
